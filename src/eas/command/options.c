/*
 * OPTIONS ([MS-ASHTTP] 2.2.3): what this server speaks. Only what works is listed.
 */
#include "eas/command.h"

void eas_options(struct eas_call *call)
{
	call->reply->status = 200;
	eas_reply_header(call->reply, "MS-Server-ActiveSync", "16.1");
	eas_reply_header(call->reply, "MS-ASProtocolVersions",
		eas_versions_offered(call->settings, call->arena));
	eas_reply_header(call->reply, "MS-ASProtocolCommands", eas_commands_offered(call->arena));
	eas_reply_header(call->reply, "Public", "OPTIONS,POST");
	eas_reply_header(call->reply, "Allow", "OPTIONS,POST");
}
