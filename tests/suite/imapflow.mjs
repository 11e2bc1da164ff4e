// imapflow.mjs: what a webmail does, by imapflow. Arguments: folder of node_modules, port, user, password. Prints one JSON object.
import { createRequire } from 'node:module';

const [where, port, user, pass] = process.argv.slice(2);
const { ImapFlow } = createRequire(where + '/')('imapflow');
const client = new ImapFlow({
	host: '127.0.0.1', port: Number(port), secure: true, tls: { rejectUnauthorized: false }, auth: { user, pass }, logger: false,
	clientInfo: { name: 'test' },
});
const said = { exists: 0, expunge: 0, flags: 0 };
for (const what of Object.keys(said))
	client.on(what, () => said[what]++);
const out = { said };
const text = async part => (await part.toArray()).join('');

await client.connect();
out.capabilities = client.capabilities.size;
out.enabled = [...client.enabled];
out.boxes = (await client.list({ statusQuery: { messages: true, unseen: true } })).map(b => [b.path, b.specialUse ?? '', b.status?.messages]);
let lock = await client.getMailboxLock('INBOX');
out.count = client.mailbox.exists;
out.mailboxId = Boolean(client.mailbox.mailboxId);
out.found = await client.search({ subject: 'letter 2', since: '2001-01-01' }, { uid: true });
const one = await client.fetchOne(out.found[0], { envelope: true, bodyStructure: true, flags: true, threadId: true, labels: true, size: true, internalDate: true, headers: ['message-id'] }, { uid: true });
Object.assign(out, { subject: one.envelope.subject, type: one.bodyStructure.type, id: Boolean(one.emailId), header: String(one.headers), modseq: Boolean(one.modseq) });
out.body = await text((await client.download(out.found[0], '1', { uid: true })).content);
out.flagged = await client.messageFlagsAdd({ uid: out.found[0] }, ['\\Flagged', '$Label1']);
out.appended = (await client.append('INBOX', 'Subject: own\r\n\r\nx\r\n', ['\\Seen'])).uid;
out.copied = (await client.messageCopy('1:2', 'Archive')).uidMap.size;
out.moved = (await client.messageMove({ uid: out.found[0] }, 'Trash')).uidMap.size;
out.deleted = await client.messageDelete({ uid: out.appended });
out.left = (await client.fetchAll('1:*', { uid: true, flags: true })).length;
const waiting = client.idle();
const other = new ImapFlow({ host: '127.0.0.1', port: Number(port), secure: true, tls: { rejectUnauthorized: false }, auth: { user, pass }, logger: false });
const seen = said.exists;
const came = new Promise(done => client.on('exists', done));
await other.connect();
await other.append('INBOX', 'Subject: while idle\r\n\r\nx\r\n');
await other.logout();
await came;
out.woken = said.exists > seen;
await client.noop();
await waiting;
lock.release();
out.created = (await client.mailboxCreate(['Work', 'Büro'])).created;
out.renamed = (await client.mailboxRename('Work.Büro', 'Work.Bureau')).newPath;
await client.mailboxDelete('Work.Bureau');
out.quota = await client.getQuota('INBOX') !== undefined;
await client.logout();
console.log(JSON.stringify(out));
