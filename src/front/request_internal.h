#ifndef BELLHOP_FRONT_REQUEST_INTERNAL_H
#define BELLHOP_FRONT_REQUEST_INTERNAL_H

#include "front/front_internal.h"

/* What request_input.c needs of request.c. Those with bool: false when the connection is gone. */

/* The request is here as a whole: a Ping that goes on from memory, or one for the engine. */
bool request_complete(struct front *f, struct conn *c);
/* Its body is to go as it comes. */
bool request_upload_begin(struct front *f, struct conn *c);
/* Sends what is gathered, as far as credit goes; ends the upload with its last byte. */
bool request_upload_flush(struct front *f, struct conn *c);
/* Within the credit. */
void request_send_body(
	struct front *f, struct conn *c, const uint8_t *bytes, size_t len, bool last);
void request_log_refused(const struct front *f, const struct conn *c, const char *why);

#endif
