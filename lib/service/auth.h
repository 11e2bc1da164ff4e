/* auth.h: what auth answers (AUTH_DONE.result), and how much it keeps. */
#ifndef SERVICE_AUTH_H
#define SERVICE_AUTH_H

enum auth_result {
	AUTH_OK,
	AUTH_FAILED,		/* unknown user or wrong password: never told apart */
	AUTH_MALFORMED,		/* not what the mechanism expects */
	AUTH_UNSUPPORTED,	/* no such mechanism here */
	AUTH_UNAVAILABLE,	/* try again later */
};

/* Mechanisms that auth serves, in the order of preference. */
#define AUTH_MECHS "PLAIN LOGIN SCRAM-SHA-256-PLUS SCRAM-SHA-256 SCRAM-SHA-1-PLUS SCRAM-SHA-1 EXTERNAL"

#define AUTH_EXCHANGES_MAX 256	/* open on one link */

#endif
