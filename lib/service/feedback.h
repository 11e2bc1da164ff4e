/*
 * feedback.h: default_destination_concurrency_positive_feedback and its like:
 * how much one result moves a window: a number, or that divided by the window or by its root.
 */
#ifndef SERVICE_FEEDBACK_H
#define SERVICE_FEEDBACK_H

#include "base/span.h"

struct feedback_rule {
	double amount;			/* 0 to 1 */
	enum { FEEDBACK_FLAT, FEEDBACK_BY_WINDOW, FEEDBACK_BY_ROOT } by;
};

bool feedback_parse(struct span text, struct feedback_rule *out) CHECKED;	/* "1", "1/concurrency", "0.5/sqrt_concurrency" */

#endif
