/* test_resolver.c: the parameters of a process become its resolver; what is missing or wrong is told. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "service/params.h"
#include "service/resolver.h"
#include "tests/unit/tmptree.h"
#include "base/banned.h"

static char dir[] = "/tmp/merpati-resolver-XXXXXX";
static struct conf *conf;

/* `par` from these lines of main.cf. */
static void
configure(const char *text)
{
	struct buf err;

	conf_free(conf);
	conf = conf_new(dir);
	buf_init(&err, 4096);
	if (conf_read_text(conf, "main.cf", span_str(text), &err) || conf_apply(conf, &par, &err))
		fail_msg("%s", buf_cstr(&err));
	buf_fini(&err);
}

static enum resolve_status
check_address(struct resolver *r, const char *text)
{
	enum address_class cls;

	return resolve_check(r, span_str(text), &cls);
}

static void
classes_come_from_the_parameters(void **state)
{
	struct resolver *r;

	(void)state;
	configure("mydestination =\nalias_maps =\nvirtual_mailbox_domains = v.example\nusers_file = /nonexistent/users\n"
	    "virtual_mailbox_maps = inline:{{m@v.example = m/}}\nrelay_domains = r.example\n"
	    "relay_recipient_maps = inline:{{k@r.example = x}}\n");
	r = resolver_open();
	assert_int_equal(check_address(r, "m@v.example"), RESOLVE_OK);
	assert_int_equal(check_address(r, "n@v.example"), RESOLVE_UNKNOWN);
	assert_int_equal(check_address(r, "k@r.example"), RESOLVE_OK);
	assert_int_equal(check_address(r, "l@r.example"), RESOLVE_UNKNOWN);
	resolver_free(r);
}

/* A table that nobody has compiled yet has no entries; that is no reason to refuse to start. */
static void
a_missing_table_of_users_is_empty(void **state)
{
	struct resolver *r;

	(void)state;
	configure("mydestination = h.example\nalias_maps =\nvirtual_mailbox_domains = v.example\nusers_file = $config_directory/users\n");
	r = resolver_open();
	assert_int_equal(check_address(r, "a@v.example"), RESOLVE_UNKNOWN);
	assert_int_equal(check_address(r, "a@h.example"), RESOLVE_UNKNOWN);
	resolver_free(r);
}

static void
a_wrong_table_ends_the_process(void **state)
{
	int status, null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	pid_t pid;

	(void)state;
	configure("mydestination =\nalias_maps =\nvirtual_alias_maps = inline:{{a = b}\n");
	pid = fork();
	if (pid == 0) {
		dup2(null, STDERR_FILENO);
		resolver_open();
		_exit(0);
	}
	close(null);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EX_CONFIG);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(classes_come_from_the_parameters), cmocka_unit_test(a_missing_table_of_users_is_empty),
		cmocka_unit_test(a_wrong_table_ends_the_process),
	};
	int r;

	if (!mkdtemp(dir))
		return 1;
	log_setup("test", LOG_TEXT, LOG_ERROR_);
	r = cmocka_run_group_tests(tests, NULL, NULL);
	conf_free(conf);
	remove_tree(dir);
	return r;
}
