/*
 * sasl.c: Cyrus SASL behind a small face. The library gets its verifiers from
 * an auxprop plug-in inside this process, its random numbers from the kernel,
 * and the plug-ins that we name and no others.
 */
#include "sasl.h"

#include <dlfcn.h>
#include <sasl/saslplug.h>
#include <sasl/saslutil.h>
#include <stdio.h>

#include "base/b64.h"
#include "base/clock.h"
#include "base/die.h"
#include "base/log.h"
#include "base/rand.h"
#include "mail/password/password.h"
#include "penalty.h"
#include "proven.h"
#include "service/message.h"
#include "service/params.h"
#include "base/banned.h"

#define NO_LOGIN "\n"		/* no line of a table has it */
#define VERIFIER_MAX 4096
#define SCRAM_TEXT_MAX 512

typedef int callback_function(void);

/*
 * libsasl2 draws its nonces from jrand48(3), seeded from pid and time where
 * /dev/urandom cannot be opened. The linker lets ours come first.
 */
long jrand48(unsigned short seed[3]);

long
jrand48(unsigned short seed[3])
{
	int32_t r;

	(void)seed;
	rand_bytes(&r, sizeof(r));
	return r;
}

struct hash_kind {
	const char *mech;
	size_t size;
};

static const struct hash_kind hash_kinds[] = {
	{ "SCRAM-SHA-256", 32 },
	{ "SCRAM-SHA-1", 20 },
};

struct plugin {
	const char *name, *file;
};

static const struct plugin plugins[] = {	/* EXTERNAL is in the library itself */
	{ "PLAIN", "libplain.so" },
	{ "LOGIN", "liblogin.so" },
	{ "SCRAM", "libscram.so" },
};

static const char *const plugin_dirs[] = {
#ifdef MERPATI_SASL_PLUGINS
	MERPATI_SASL_PLUGINS,
#endif
	"/usr/lib/x86_64-linux-gnu/sasl2", "/usr/lib/aarch64-linux-gnu/sasl2", "/usr/lib64/sasl2", "/usr/lib/sasl2",
};

/* The exchange whose message the library is at: the auxprop plug-in is not told. */
static struct saslx *current;

/* ---- what the library asks of us ---- */

static int
on_option(void *ctx, const char *plugin, const char *option, const char **result, unsigned *len)
{
	static const char *const options[][2] = {
		{ "auxprop_plugin", "merpati" },
		{ "pwcheck_method", "none" },	/* SASL_CB_SERVER_USERDB_CHECKPASS is the only way */
		{ "auto_transition", "no" },
		{ "log_level", "0" },
	};

	(void)ctx;
	(void)plugin;
	for (size_t i = 0; i < NELEMS(options); i++) {
		if (strcmp(option, options[i][0]) != 0)
			continue;
		*result = options[i][1];
		if (len)
			*len = (unsigned)strlen(*result);
		return SASL_OK;
	}
	return SASL_FAIL;
}

static int
on_log(void *ctx, int level, const char *text)
{
	(void)ctx;
	(void)level;
	log_debug(NULL, "libsasl2: %s", text);
	return SASL_OK;
}

/* No plug-in and no file of options is searched for. */
static int
on_path(void *ctx, const char **path)
{
	(void)ctx;
	*path = "/nonexistent";
	return SASL_OK;
}

/* A name that cannot be one goes on as one that nobody has: LOGIN of libsasl2 loses the password's memory when it is refused here. */
static int
on_canon_user(sasl_conn_t *conn, void *ctx, const char *in, unsigned inlen, unsigned flags,
    const char *realm, char *out, unsigned out_max, unsigned *out_len)
{
	struct saslx *x = ctx;
	struct buf login;
	int result = SASL_NOUSER;

	(void)conn;
	(void)realm;
	buf_init(&login, LOGIN_MAX);
	if (account_login(span_of(in, inlen), &login) && login.len < out_max) {
		memcpy(out, login.p, login.len + 1);
		*out_len = (unsigned)login.len;
		if (flags & SASL_CU_AUTHID)
			memcpy(x->login, login.p, login.len + 1);
		result = SASL_OK;
	} else if (flags & SASL_CU_AUTHID) {
		snprintf(x->login, sizeof(x->login), "%.*s", (int)(inlen > LOGIN_MAX ? LOGIN_MAX : inlen), in);
		memcpy(out, NO_LOGIN, sizeof(NO_LOGIN));
		*out_len = sizeof(NO_LOGIN) - 1;
		result = SASL_OK;
	}
	buf_fini(&login);
	return result;
}

/* Of this name, whether it exists or not. */
static bool
too_many_guesses(struct span login)
{
	return par.auth_failure_limit && penalty_failures(login, clock_mono_ms(), false) >= par.auth_failure_limit;
}

/* An unknown name costs as much as a wrong password: one hash. */
static int
on_check_password(sasl_conn_t *conn, void *ctx, const char *user, const char *pass, unsigned passlen,
    struct propctx *props)
{
	struct saslx *x = ctx;
	struct span login = span_str(user), password = span_of(pass, passlen);
	struct buf verifier;
	enum map_answer answer;
	bool ok;

	(void)conn;
	(void)props;
	buf_init(&verifier, VERIFIER_MAX);
	answer = account_verifier(login, &verifier);
	if (answer == MAP_FAILED || verifier.over) {
		x->table_failed = true;
		buf_fini(&verifier);
		return SASL_BADAUTH;
	}
	if (answer == MAP_FOUND && proven_has(login, password, buf_span(&verifier))) {
		ok = true;
	} else if (x->guesses || too_many_guesses(login)) {
		x->held_off = true;
		ok = false;
	} else {
		ok = password_check(answer == MAP_FOUND ? buf_span(&verifier) : password_nobody(), password) &&
		    answer == MAP_FOUND;
		if (ok)
			proven_add(login, password, buf_span(&verifier));
	}
	buf_fini(&verifier);
	return ok ? SASL_OK : SASL_BADAUTH;
}

/* ---- verifiers for SCRAM ---- */

/* What an unknown user's verifier could be: always the same one, and no password fits. */
static void
fake_verifier(const struct hash_kind *h, struct span user, struct buf *out)
{
	unsigned char salt[32], stored[32], server[32];
	struct buf text;

	buf_init(&text, LOGIN_MAX + 64);
	buf_addf(&text, "%s ", h->mech);
	buf_addspan(&text, user);
	proven_derive_lasting("salt", buf_span(&text), salt);
	proven_derive_lasting("stored", buf_span(&text), stored);
	proven_derive_lasting("server", buf_span(&text), server);
	buf_addf(out, "%s$4096:", h->mech);
	b64_encode(out, span_of(salt, 16));
	buf_addc(out, '$');
	b64_encode(out, span_of(stored, h->size));
	buf_addc(out, ':');
	b64_encode(out, span_of(server, h->size));
	buf_fini(&text);
}

static void
set_verifiers(const sasl_utils_t *utils, struct propctx *props, const char *name, struct span user, struct span verifier)
{
	for (size_t i = 0; i < NELEMS(hash_kinds); i++) {
		struct buf text, fake;

		/* Both are made for everybody: an unknown name costs what a known one does. */
		buf_init(&text, SCRAM_TEXT_MAX);
		buf_init(&fake, SCRAM_TEXT_MAX);
		fake_verifier(&hash_kinds[i], user, &fake);
		if (!password_scram(verifier, hash_kinds[i].mech, &text)) {
			buf_reset(&text);
			buf_addspan(&text, buf_span(&fake));
		}
		utils->prop_set(props, name, text.p, (int)text.len);
		buf_fini(&text);
		buf_fini(&fake);
	}
}

static int
aux_lookup(void *glob, sasl_server_params_t *params, unsigned flags, const char *user, unsigned ulen)
{
	const struct propval *asked = params->utils->prop_get(params->propctx);
	struct buf verifier;
	enum map_answer answer;

	(void)glob;
	if (!asked || (flags & SASL_AUXPROP_AUTHZID))
		return SASL_OK;
	for (; asked->name; asked++) {
		if (strcmp(asked->name, "*authPassword") != 0 || asked->values)
			continue;
		buf_init(&verifier, VERIFIER_MAX);
		answer = account_verifier(span_of(user, ulen), &verifier);
		if (current && (answer == MAP_FAILED || verifier.over))
			current->table_failed = true;
		if (current && (current->guesses || too_many_guesses(span_of(user, ulen))))
			current->held_off = true;
		if (answer != MAP_FOUND || verifier.over)
			buf_reset(&verifier);
		set_verifiers(params->utils, params->propctx, asked->name, span_of(user, ulen), buf_span(&verifier));
		buf_fini(&verifier);
		break;
	}
	return SASL_OK;
}

static int
aux_init(const sasl_utils_t *utils, int max_version, int *version, sasl_auxprop_plug_t **plug, const char *name)
{
	static char own_name[] = "merpati";
	static sasl_auxprop_plug_t self = { .auxprop_lookup = aux_lookup, .name = own_name };

	(void)utils;
	(void)name;
	if (max_version < SASL_AUXPROP_PLUG_VERSION)
		return SASL_BADVERS;
	*version = SASL_AUXPROP_PLUG_VERSION;
	*plug = &self;
	return SASL_OK;
}

/* ---- the library ---- */

static void *
find_plugin(const char *file)
{
	for (size_t i = 0; i < NELEMS(plugin_dirs); i++) {
		char path[256];
		void *handle;

		snprintf(path, sizeof(path), "%s/%s", plugin_dirs[i], file);
		if ((handle = dlopen(path, RTLD_NOW | RTLD_LOCAL)))
			return handle;
	}
	die_config("no SASL plug-in %s (Debian: libsasl2-modules): %s", file, dlerror());
}

static void
load_plugin(const struct plugin *p)
{
	union { void *object; sasl_server_plug_init_t *function; } init;

	init.object = dlsym(find_plugin(p->file), "sasl_server_plug_init");
	if (!init.object || sasl_server_add_plugin(p->name, init.function) != SASL_OK)
		die_config("the SASL plug-in %s does not fit libsasl2", p->file);
}

void
saslx_library_open(void)
{
	static const sasl_callback_t callbacks[] = {
		{ SASL_CB_GETOPT, (callback_function *)(uintptr_t)on_option, NULL },
		{ SASL_CB_LOG, (callback_function *)(uintptr_t)on_log, NULL },
		{ SASL_CB_GETPATH, (callback_function *)(uintptr_t)on_path, NULL },
		{ SASL_CB_GETCONFPATH, (callback_function *)(uintptr_t)on_path, NULL },
		{ SASL_CB_LIST_END, NULL, NULL },
	};

	if (sasl_auxprop_add_plugin("merpati", aux_init) != SASL_OK)
		die("libsasl2 does not take our auxprop plug-in");
	if (sasl_server_init(callbacks, "merpati") != SASL_OK)
		die("libsasl2 does not start");
	for (size_t i = 0; i < NELEMS(plugins); i++)
		load_plugin(&plugins[i]);
	password_nobody();
}

bool
saslx_known(struct span mech)
{
	struct span rest = SPAN(AUTH_MECHS), word;

	while (span_word(&rest, " ", &word))
		if (span_eq(word, mech))
			return param_list_has(par.smtpd_sasl_mechanism_filter, mech);
	return false;
}

bool
saslx_open(struct saslx *x, const char *service, const struct saslx_origin *from)
{
	sasl_security_properties_t props = { .max_ssf = 0, .maxbufsize = 0, .security_flags = SASL_SEC_NOANONYMOUS };

	*x = (struct saslx){ .conn = NULL, .guesses = from->guesses };
	buf_init(&x->bindings, SASLX_BINDINGS_MAX);
	buf_addspan(&x->bindings, from->bindings);
	x->callbacks[0] = (sasl_callback_t){ SASL_CB_CANON_USER, (callback_function *)(uintptr_t)on_canon_user, x };
	x->callbacks[1] = (sasl_callback_t){ SASL_CB_SERVER_USERDB_CHECKPASS,
	    (callback_function *)(uintptr_t)on_check_password, x };
	x->callbacks[2] = (sasl_callback_t){ SASL_CB_LIST_END, NULL, NULL };
	if (!x->bindings.over &&
	    sasl_server_new(service, par.myhostname, NULL, NULL, NULL, x->callbacks, 0, &x->conn) == SASL_OK &&
	    sasl_setprop(x->conn, SASL_SEC_PROPS, &props) == SASL_OK)
		return true;
	saslx_close(x);
	return false;
}

void
saslx_close(struct saslx *x)
{
	if (x->conn)
		sasl_dispose(&x->conn);
	x->conn = NULL;
	buf_fini(&x->bindings);
}

/* What the library says, in our few words. Only a proof is a proof: SASL_USERNAME may be set after a failure. */
static enum saslx_turn
turn(struct saslx *x, int code, const char *data, unsigned len, struct span *out, enum auth_result *result)
{
	const void *name = NULL;

	current = NULL;
	*out = data ? span_of(data, len) : SPAN_NONE;
	if (code == SASL_CONTINUE && !x->held_off)
		return SASLX_MORE;
	if (x->table_failed || x->held_off)
		*result = AUTH_UNAVAILABLE;
	else if (code == SASL_OK && sasl_getprop(x->conn, SASL_USERNAME, &name) == SASL_OK && name)
		*result = AUTH_OK;
	else if (code == SASL_BADPROT)
		*result = AUTH_MALFORMED;
	else
		*result = AUTH_FAILED;
	if (*result == AUTH_OK && snprintf(x->login, sizeof(x->login), "%s", (const char *)name) >= (int)sizeof(x->login))
		*result = AUTH_FAILED;
	if (*result != AUTH_OK)
		*out = SPAN_NONE;
	return SASLX_DONE;
}

/* ---- what binds a login to its connection ---- */

/*
 * The one that the client's first message names ("p=NAME,", RFC 5802 7), or the
 * first: with any set, the library refuses a client that has been made to
 * believe that we have none ("y,"). False: it has chosen -PLUS and does not bind.
 */
static bool
choose_binding(struct saslx *x, struct span message)
{
	struct span rest = buf_span(&x->bindings), name, bytes, wish = SPAN_NONE;

	x->bound = true;
	if (span_starts(message, "p=") && span_find(message, ',') > 2)
		wish = span_sub(message, 2, (size_t)span_find(message, ','));
	while (msg_list_next(&rest, &name) && msg_list_next(&rest, &bytes)) {
		if ((wish.n > 0 && !span_eq(name, wish)) || name.n >= sizeof(x->binding_name))
			continue;
		memcpy(x->binding_name, name.p, name.n);
		x->binding_name[name.n] = '\0';
		x->binding = (sasl_channel_binding_t){ .name = x->binding_name, .critical = 0, .len = bytes.n,
			.data = (const unsigned char *)bytes.p };
		sasl_setprop(x->conn, SASL_CHANNEL_BINDING, &x->binding);
		break;
	}
	return !x->plus || wish.n > 0;
}

/* A certificate is a login only where the table says so, and as long as that user exists and is not locked. */
static bool
external_login(struct saslx *x, struct span certificate)
{
	struct buf login, canonical, verifier;
	enum map_answer answer;
	bool ok = false;

	buf_init(&login, LOGIN_MAX);
	buf_init(&canonical, LOGIN_MAX);
	buf_init(&verifier, VERIFIER_MAX);
	answer = account_of_certificate(certificate, &login);
	if (answer == MAP_FOUND)
		answer = account_login(span_trim(buf_span(&login)), &canonical) ?
		    account_verifier(buf_span(&canonical), &verifier) : MAP_NONE;
	if (answer == MAP_FAILED)
		x->table_failed = true;
	if (answer == MAP_FOUND && !span_starts(buf_span(&verifier), "!"))
		ok = sasl_setprop(x->conn, SASL_AUTH_EXTERNAL, buf_cstr(&canonical)) == SASL_OK;
	buf_fini(&login);
	buf_fini(&canonical);
	buf_fini(&verifier);
	return ok;
}

enum saslx_turn
saslx_start(struct saslx *x, const char *mech, struct span certificate, struct span initial, struct span *out,
    enum auth_result *result)
{
	bool scram = span_starts(span_str(mech), "SCRAM-");
	const char *data = NULL;
	unsigned len = 0;
	int code;

	if (strcmp(mech, "EXTERNAL") == 0 && !external_login(x, certificate))
		return turn(x, SASL_BADAUTH, NULL, 0, out, result);
	x->plus = scram && span_ends_nocase(span_str(mech), "-PLUS");
	if (scram && !choose_binding(x, initial) && initial.p)	/* the library asks at once whether there is one */
		return turn(x, SASL_BADPROT, NULL, 0, out, result);
	x->bound = !scram || initial.p;
	current = x;
	code = sasl_server_start(x->conn, mech, initial.p, (unsigned)initial.n, &data, &len);
	return turn(x, code, data, len, out, result);
}

enum saslx_turn
saslx_step(struct saslx *x, struct span data, struct span *out, enum auth_result *result)
{
	const char *reply = NULL;
	unsigned len = 0;
	int code;

	if (!x->bound && !choose_binding(x, data))
		return turn(x, SASL_BADPROT, NULL, 0, out, result);
	current = x;
	code = sasl_server_step(x->conn, data.p, (unsigned)data.n, &reply, &len);
	return turn(x, code, reply, len, out, result);
}
