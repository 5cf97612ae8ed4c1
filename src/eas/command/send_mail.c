/*
 * SendMail ([MS-ASCMD] 2.2.1.17): the message is the body itself up to 12.1, and the Mime element
 * of a WBXML request from 14.0 on.
 */
#include "eas/command/outgoing.h"

void eas_send_mail(struct eas_call *call)
{
	struct outgoing o;
	struct err err = ERR_INIT;
	unsigned status;

	if (!outgoing_read(call, &o))
		return;
	if (outgoing_submit(&o, &status, &err) < 0)
		eas_reply_error(call, &err);
	else
		outgoing_reply(call, status);
}
