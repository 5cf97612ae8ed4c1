/*
 * Events on standard output. The only place of the phone that reads the clock in microseconds: the
 * house's clock counts milliseconds, too coarse for measuring a push.
 */
#include "phone/events.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"

static int64_t read_us(clockid_t id)
{
	struct timespec ts;

	(void)clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t events_now_us(void)
{
	return read_us(CLOCK_MONOTONIC);
}

static json_t *clean_string(const char *s)
{
	CLEANUP(buf_deinit) struct buf clean = BUF_INIT;

	if (s == NULL)
		return json_null();
	utf8_add_clean(&clean, s, strlen(s));
	return json_string(buf_cstr(&clean));
}

static json_t *value_of(const struct events_field *f)
{
	json_t *list;

	switch (f->kind) {
	case EVENTS_INT:
		return json_integer(f->num);
	case EVENTS_LIST:
		list = json_array();
		for (int64_t i = 0; i < f->num; i++)
			(void)json_array_append_new(list, clean_string(f->list[i]));
		return list;
	default:
		return clean_string(f->str);
	}
}

void events_write(const struct events *events, int64_t mono_us, const char *text, const char *ev,
	const struct events_field *fields)
{
	json_t *o;
	int64_t now_us = events_now_us();

	if (!events->json) {
		if (text != NULL && !events->quiet) {
			(void)printf("%s\n", text);
			(void)fflush(stdout);
		}
		return;
	}
	if (mono_us == 0)
		mono_us = now_us;
	o = json_object();
	(void)json_object_set_new(o, "ev", json_string(ev));
	(void)json_object_set_new(
		o, "at_us", json_integer(read_us(CLOCK_REALTIME) - (now_us - mono_us)));
	(void)json_object_set_new(o, "mono_us", json_integer(mono_us));
	for (; fields->kind != EVENTS_END; fields++)
		(void)json_object_set_new(o, fields->key, value_of(fields));
	(void)json_dumpf(o, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
	(void)fputc('\n', stdout);
	(void)fflush(stdout);
	json_decref(o);
}

void events_error(const struct events *events, const char *code, const char *text)
{
	if (events->json)
		events_emit(events, 0, NULL, "error", EV_STR("code", code), EV_STR("text", text));
	else
		(void)fprintf(stderr, "bellhop-phone: %s\n", text);
}
