// Reads, touches and ends sessions that session-redis wrote. The format is described in docs/format.md.
import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createClient, RESP_TYPES } from 'redis';

const MAX_HEADER = 406;
const MAX_RECORD = MAX_HEADER + 262_144;
const SETTLED = 600_000; // a younger index entry may belong to a login that is still under way

const script = (name) => {
  const text = readFileSync(new URL(`../../../session-redis/src/scripts/${name}.lua`, import.meta.url), 'utf8');
  return { text, sha: createHash('sha1').update(text).digest('hex') };
};
const TOUCH = script('touch');
const DELETE = script('delete');

/** The store cannot answer, or another version wrote what it holds. Answer 503, and leave the cookie alone. */
export class StoreTrouble extends Error {}

export class Sessions {
  /** `idle` in milliseconds, and `prefix` and `realm`, as the Rust application has them. */
  static async connect(url, { prefix = 'session', realm = '', idle = 24 * 3_600_000, margin = 300_000 } = {}) {
    const commandOptions = { timeout: 3_000, typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } };
    const redis = createClient({ url, disableOfflineQueue: true, commandOptions });
    redis.on('error', () => {}); // every call says for itself what failed
    await redis.connect();
    return new Sessions(redis, { prefix, realm: Buffer.from(realm), idle, margin });
  }

  constructor(redis, settings) {
    Object.assign(this, { redis, ...settings });
  }

  /** The session of this token, or null. `token` is the value of the cookie, as it came. */
  async open(token, now = Date.now()) {
    if (!/^[A-Za-z0-9_-]{64}$/.test(token ?? '')) return null;
    const bytes = Buffer.from(token, 'base64url');
    const [id, secret] = [bytes.subarray(0, 16), bytes.subarray(16)];
    if (id.every((byte) => byte === 0) || secret.every((byte) => byte === 0)) return null;

    const stored = await this.#call(['GETRANGE', this.#key('s', id), '0', String(MAX_RECORD)]);
    if (stored.length === 0) return null;
    const record = readRecord(stored);
    if (record === null) return null; // cannot be read: nobody is authenticated, and it is kept
    if (now >= record.expiresAt || now >= record.deadline) return null;

    // The secret is verified before a byte of the payload is looked at.
    const length = Buffer.from([this.realm.length]);
    const hash = createHash('sha256').update('session/1').update(length).update(this.realm).update(bytes).digest();
    const previous = record.previous;
    const current = timingSafeEqual(hash, record.hash);
    const inGrace = previous !== null && timingSafeEqual(hash, previous.hash) && now < previous.graceUntil;
    if (!current && !inGrace) return null;

    const data = readPayload(record.payload);
    if (data === null) return null;
    const { subject, createdAt, expiresAt, deadline, authentication } = record;
    const user = subject && subject.subarray(1 + subject[0]).toString('utf8');
    return { id, user, data, createdAt, expiresAt, deadline, authentication };
  }

  /** Prolongs a session that is used. Writes once in a tenth of the idle time, the same value for a herd. */
  async touch(session, now = Date.now()) {
    if (now + this.idle - session.expiresAt < this.idle / 10) return true;
    const step = Math.floor(this.idle / 20);
    const target = Math.min(Math.floor((now + this.idle) / step) * step, session.deadline);
    if (target <= session.expiresAt) return true;
    const expires = Buffer.alloc(8);
    expires.writeBigInt64BE(BigInt(target));
    const answer = await this.#run(TOUCH, session.id, [expires, String(now), String(this.margin), '1']);
    if (answer !== 0 && answer !== 1) throw new StoreTrouble('the record cannot be read');
    return answer === 1;
  }

  /** Ends the session: after it no server opens it any more. */
  async end(session, now = Date.now()) {
    const removed = await this.#run(DELETE, session.id, ['', '1']);
    const head = removed && readRecord(removed[0], true);
    if (head?.subject && head.createdAt < now - SETTLED) {
      await this.#call(['ZREM', this.#key('u', head.subject), session.id]).catch(() => {}); // it would expire
    }
  }

  close() {
    return this.redis.destroy();
  }

  #key(kind, name) {
    return Buffer.concat([Buffer.from(`${this.prefix}:${kind}:`), name]);
  }

  async #run({ text, sha }, id, args) {
    const rest = ['1', this.#key('s', id), ...args];
    return this.#call(['EVALSHA', sha, ...rest]).catch((error) => {
      if (!error.cause?.message?.startsWith('NOSCRIPT')) throw error;
      return this.#call(['EVAL', text, ...rest]);
    });
  }

  async #call(command) {
    try {
      return await this.redis.sendCommand(command);
    } catch (cause) {
      throw new StoreTrouble('the session store failed', { cause });
    }
  }
}

/** The parts of a stored record, or null for what is none. `headOnly` when the payload is not there. */
function readRecord(stored, headOnly = false) {
  if (stored.length < 69 || stored.length > MAX_RECORD || stored.toString('latin1', 0, 3) !== 'SES') return null;
  if (stored[3] !== 1) {
    if (stored[3] === 0) return null;
    throw new StoreTrouble('the record has a later format');
  }
  let at = 68;
  const take = (length) => {
    if (at + length > stored.length) throw new RangeError();
    return stored.subarray(at, (at += length));
  };
  const time = (bytes) => Number(bytes.length === 8 ? bytes.readBigUInt64BE() : bytes.readUIntBE(0, 6));
  try {
    const record = {
      expiresAt: time(stored.subarray(12, 20)),
      deadline: time(stored.subarray(20, 28)),
      createdAt: time(stored.subarray(28, 36)),
      hash: stored.subarray(36, 68),
    };
    const subject = take(take(1)[0]);
    record.subject = subject.length > 0 ? subject : null;
    const flags = take(1)[0];
    if (flags & ~7) return null;
    const length = take(3).readUIntBE(0, 3);
    record.authentication = flags & 1 ? { at: time(take(6)), level: take(1)[0] } : null;
    if (flags & 2) take(take(1)[0]); // the credential tag
    record.previous = flags & 4 ? { hash: take(32), graceUntil: time(take(6)) } : null;
    if (headOnly) return record;
    record.payload = stored.subarray(at);
    return record.payload.length === length ? record : null;
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

/** The data in a payload, or null for what is none. */
function readPayload(payload) {
  if (payload.length < 5 || payload[0] !== 0xd5 || payload[1] !== 0x53) return null;
  if (payload[2] !== 1 || payload[3] !== 1 || payload[4] !== 0) {
    throw new StoreTrouble('the payload has a format that is not read here');
  }
  try {
    const { data } = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload.subarray(5)));
    return data !== null && typeof data === 'object' && !Array.isArray(data) ? data : null;
  } catch {
    return null;
  }
}
