// A hook as SvelteKit wants it: puts the session into `locals`. The same few lines serve any framework.
import { Sessions, StoreTrouble } from './sessions.js';

export const NAME = process.env.SESSION_COOKIE ?? '__Host-session';
const sessions = await Sessions.connect(process.env.SESSION_REDIS_URL, {
  prefix: process.env.SESSION_PREFIX,
  idle: Number(process.env.SESSION_IDLE_MS ?? 24 * 3_600_000),
});

/** @type {import('@sveltejs/kit').Handle} */
export async function handle({ event, resolve }) {
  try {
    const session = await sessions.open(onlyCookie(event.request.headers.get('cookie')));
    if (session) await sessions.touch(session).catch(() => {}); // a failed touch fails no request
    event.locals.session = session;
    event.locals.endSession = () => sessions.end(session);
    const response = await resolve(event);
    response.headers.append('vary', 'Cookie');
    if (!response.headers.has('cache-control')) response.headers.set('cache-control', 'private, no-store');
    return response;
  } catch (error) {
    if (!(error instanceof StoreTrouble)) throw error;
    return new Response('sessions are not available', { status: 503, headers: { 'retry-after': '1' } });
  }
}

/** The value of the one cookie of our name, byte for byte. Two of them are nobody's. */
function onlyCookie(header) {
  const values = (header ?? '')
    .split(';')
    .map((pair) => pair.replace(/^[ \t]+/, ''))
    .filter((pair) => pair.startsWith(`${NAME}=`))
    .map((pair) => pair.slice(NAME.length + 1));
  return values.length === 1 ? values[0] : null;
}
