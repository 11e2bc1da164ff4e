/* policy_answer.h: the answer of a policy service (Postfix's policy delegation protocol). Pure. */
#ifndef SMTPD_POLICY_ANSWER_H
#define SMTPD_POLICY_ANSWER_H

#include "base/span.h"

enum policy_answer {
	POLICY_MORE,		/* not all of it yet */
	POLICY_BAD,		/* no action, or bytes behind the end */
	POLICY_ACTION,		/* *action: borrowed from `in`, one line, trimmed; may be empty */
};

enum policy_answer policy_answer(struct span in, struct span *action);

#endif
