/*
 * Dates as text, there and back, by arithmetic of the proleptic Gregorian calendar (no time zones,
 * no libc state). Pure; any thread.
 */
#include "eas/date.h"

#include <stdio.h>

#include "base/mem.h"

#define DAY_MS   INT64_C(86400000)
#define FIRST_MS INT64_C(-62135596800000) /* 0001-01-01 */
#define LAST_MS  INT64_C(253402300799999) /* 9999-12-31T23:59:59.999 */

struct moment {
	unsigned year, month, day, hour, minute, second, ms;
};

/* Days since 1970-01-01; years start in March, so that the leap day comes last. */
static int64_t days_from_civil(unsigned year, unsigned month, unsigned day)
{
	int64_t y = (int64_t)year - (month <= 2);
	int64_t era = y / 400;
	int64_t of_era = y - era * 400;
	int64_t of_year = (153 * ((int64_t)month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static void civil_from_days(int64_t days, struct moment *ret)
{
	int64_t z = days + 719468;
	int64_t era = z / 146097;
	int64_t of_era = z - era * 146097;
	int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
	int64_t march = (5 * of_year + 2) / 153;

	ret->day = (unsigned)(of_year - (153 * march + 2) / 5 + 1);
	ret->month = (unsigned)(march < 10 ? march + 3 : march - 9);
	ret->year = (unsigned)(year + era * 400 + (ret->month <= 2));
}

/*
 * Reads by pattern: a digit class letter takes one digit of that field, '?' an optional fraction,
 * anything else stands for itself.
 */
static bool match(const char *text, size_t len, const char *pattern, struct moment *m)
{
	size_t i = 0;

	for (; *pattern != 0; pattern++) {
		unsigned *field = *pattern == 'Y'   ? &m->year
				  : *pattern == 'M' ? &m->month
				  : *pattern == 'D' ? &m->day
				  : *pattern == 'h' ? &m->hour
				  : *pattern == 'm' ? &m->minute
				  : *pattern == 's' ? &m->second
						    : NULL;

		if (*pattern == '?') {
			unsigned scale = 100;

			if (i >= len || text[i] != '.')
				continue;
			if (++i >= len || text[i] < '0' || text[i] > '9')
				return false;
			for (; i < len && text[i] >= '0' && text[i] <= '9'; i++, scale /= 10)
				m->ms += (unsigned)(text[i] - '0') * scale;
			continue;
		}
		if (i >= len)
			return false;
		if (field == NULL ? text[i] != *pattern : text[i] < '0' || text[i] > '9')
			return false;
		if (field != NULL)
			*field = *field * 10 + (unsigned)(text[i] - '0');
		i++;
	}
	return i == len;
}

static bool is_real(const struct moment *m)
{
	static const uint8_t lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = m->year % 4 == 0 && (m->year % 100 != 0 || m->year % 400 == 0);

	if (m->year < 1 || m->month < 1 || m->month > 12 || m->day < 1)
		return false;
	if (m->day > lengths[m->month - 1] + (unsigned)(leap && m->month == 2))
		return false;
	return m->hour < 24 && m->minute < 60 && m->second < 60;
}

bool eas_date_parse(const char *text, size_t len, unsigned forms, int64_t *ret_ms)
{
	static const struct {
		unsigned form;
		const char *pattern;
	} patterns[] = {
		{EAS_DATE_DASHED, "YYYY-MM-DDThh:mm:ss?Z"},
		{EAS_DATE_COMPACT, "YYYYMMDDThhmmssZ"},
		{EAS_DATE_DAY, "YYYYMMDDT000000"},
		{EAS_DATE_DAY, "YYYYMMDD"},
	};

	for (size_t i = 0; i < ARRAY_LEN(patterns); i++) {
		struct moment m = {0};

		if ((forms & patterns[i].form) == 0 || !match(text, len, patterns[i].pattern, &m))
			continue;
		if (!is_real(&m))
			return false;
		*ret_ms = days_from_civil(m.year, m.month, m.day) * DAY_MS +
			  (((int64_t)m.hour * 60 + m.minute) * 60 + m.second) * 1000 + m.ms;
		return true;
	}
	return false;
}

const char *eas_date_format(int64_t at_ms, enum eas_date_forms form, char text[EAS_DATE_SIZE])
{
	int64_t at = MIN(MAX(at_ms, FIRST_MS), LAST_MS);
	int64_t days = at / DAY_MS - (at % DAY_MS < 0);
	unsigned rest = (unsigned)(at - days * DAY_MS);
	struct moment m = {0};

	civil_from_days(days, &m);
	m.hour = rest / 3600000;
	m.minute = rest / 60000 % 60;
	m.second = rest / 1000 % 60;
	m.ms = rest % 1000;
	(void)snprintf(text, EAS_DATE_SIZE,
		form == EAS_DATE_DASHED ? "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ"
					: "%04u%02u%02uT%02u%02u%02uZ",
		m.year % 10000, m.month, m.day, m.hour, m.minute, m.second, m.ms);
	return text;
}
