/* fuzz_filter.c: the expressions of merpati queue. links: master/tools/common/filter.c */
#include "master/tools/common/filter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct filter_subject s = { .id = SPAN("a"), .from = SPAN("b@c"), .to = SPAN("dd@ee"), .state = SPAN("hold"),
		.site = SPAN("ee"), .reason = SPAN("421 x"), .age = 100, .size = 200, .rcpts = 1 };
	struct buf err;
	struct filter *f;

	if (n > 4096)
		return 0;
	buf_init(&err, 300);
	f = filter_new(span_of(data, n), &err);
	if (f)
		(void)filter_match(f, &s);
	filter_free(f);
	buf_fini(&err);
	return 0;
}
