/*
 * Who asks: nobody yet.
 */
#include "api/api_internal.h"

int api_session_enter(struct api_call *call)
{
	(void)call;
	return 0;
}

void api_session_serve(struct api_call *call)
{
	api_reply_trouble(call, 401, "auth", "sign in first");
}
