/* test_resolver.c: the parameters of a process become its resolver; what is missing or wrong is told. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/log.h"
#include "base/map.h"
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

static char table[64], compiled[70];

static void
compile(const char *text)
{
	struct buf err, long_text;

	buf_init(&err, 1000);
	buf_init(&long_text, 1 << 20);
	buf_addf(&long_text, "%s\nfiller %0300000d\n", text, 0);	/* a small table would be in memory: nothing spoils it */
	assert_true(replace_file(AT_FDCWD, table, buf_span(&long_text), 0644));
	if (!map_build(table, compiled, MAP_TEXT_PLAIN, 0644, &err))
		fail_msg("%s", buf_cstr(&err));
	buf_fini(&err);
	buf_fini(&long_text);
}

/* Each table that decides about a recipient: what replaces it counts, and while it is spoiled nobody is unknown or moved. */
static void
a_table_is_replaced_and_spoiled(void **state)
{
	static const struct { const char *parameter, *address, *key, *more; enum resolve_status with, without; } rows[] = {
		{ "virtual_mailbox_maps", "x@v.example", "x@v.example v/x/", "", RESOLVE_OK, RESOLVE_UNKNOWN },
		{ "virtual_mailbox_domains", "x@w.example", "w.example ok", "virtual_mailbox_maps = inline:{{x@w.example = w/x/}}\n", RESOLVE_OK, RESOLVE_OK },
		{ "virtual_alias_maps", "x@v.example", "x@v.example m@v.example", "", RESOLVE_OK, RESOLVE_UNKNOWN },
		{ "virtual_alias_domains", "x@v.example", "v.example ok", "virtual_mailbox_domains =\n", RESOLVE_UNKNOWN, RESOLVE_OK },
		{ "relay_domains", "x@w.example", "w.example ok", "relay_recipient_maps = inline:{y@w.example=ok}\n", RESOLVE_UNKNOWN, RESOLVE_OK },
		{ "relay_recipient_maps", "x@r.example", "x@r.example ok", "", RESOLVE_OK, RESOLVE_UNKNOWN },
		{ "mydestination", "x@w.example", "w.example ok", "", RESOLVE_UNKNOWN, RESOLVE_OK },
		{ "alias_maps", "x@h.example", "x m@v.example", "", RESOLVE_OK, RESOLVE_UNKNOWN },
		{ "relocated_maps", "x@r.example", "x@r.example y@z.example", "relay_recipient_maps = inline:{x@r.example=ok}\n", RESOLVE_MOVED, RESOLVE_OK },
		{ "canonical_maps", "x@v.example", "x@v.example m@v.example", "", RESOLVE_OK, RESOLVE_UNKNOWN },
		{ "recipient_canonical_maps", "x@v.example", "x@v.example m@v.example", "", RESOLVE_OK, RESOLVE_UNKNOWN },
	};
	char text[1000];

	(void)state;
	snprintf(table, sizeof(table), "%s/table", dir);
	snprintf(compiled, sizeof(compiled), "%s.cdb", table);
	for (size_t i = 0; i < NELEMS(rows); i++) {
		const char *address = rows[i].address;
		struct resolver *r;

		compile(rows[i].key);
		snprintf(text, sizeof(text), "mydestination = h.example\nalias_maps =\nvirtual_mailbox_domains = v.example\n"
		    "virtual_mailbox_maps = inline:{{m@v.example = m/}}\nrelay_domains = r.example\n"
		    "relay_recipient_maps = inline:{{k@r.example = x}}\n%s%s = cdb:%s\n", rows[i].more, rows[i].parameter, table);
		configure(text);
		r = resolver_open();
		for (int round = 0; round < 2; round++) {
			static const char zeros[3000];
			int fd;

			if (check_address(r, address) != rows[i].with)
				fail_msg("%s, round %d: %s is %d", rows[i].parameter, round, address, (int)check_address(r, address));
			compile("other@other.example x@other.example\n");
			resolver_refresh(r);
			if (check_address(r, address) != rows[i].without)
				fail_msg("%s, without it: %s is %d", rows[i].parameter, address, (int)check_address(r, address));
			fd = open(compiled, O_WRONLY | O_TRUNC);
			assert_true(write_all(fd, zeros, sizeof(zeros)));
			close(fd);
			resolver_refresh(r);
			if (check_address(r, address) != RESOLVE_RETRY)
				fail_msg("%s, spoiled: %s is %d", rows[i].parameter, address, (int)check_address(r, address));
			compile(rows[i].key);
			resolver_refresh(r);
		}
		resolver_free(r);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_table_is_replaced_and_spoiled),
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
