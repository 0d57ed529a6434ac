// Runs the hook behind Node's own server, for the tests: GET / shows the session, POST /logout ends it.
import { createServer } from 'node:http';
import { handle, NAME } from './hooks.server.js';

async function resolve({ request, locals }) {
  const { session } = locals;
  if (request.method === 'POST' && new URL(request.url).pathname === '/logout') {
    const response = new Response(null, { status: 204 });
    if (session) {
      await locals.endSession();
      // Only the request that ended the session removes the cookie.
      response.headers.set('set-cookie', `${NAME}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax`);
    }
    return response;
  }
  return Response.json(session && { user: session.user, data: session.data, authentication: session.authentication });
}

const server = createServer(async (incoming, outgoing) => {
  const headers = new Headers();
  for (let i = 0; i < incoming.rawHeaders.length; i += 2) headers.append(incoming.rawHeaders[i], incoming.rawHeaders[i + 1]);
  const request = new Request(`http://localhost${incoming.url}`, { method: incoming.method, headers });
  const response = await handle({ event: { request, locals: {} }, resolve });
  outgoing.writeHead(response.status, Object.fromEntries(response.headers));
  outgoing.end(Buffer.from(await response.arrayBuffer()));
});
server.listen(0, '127.0.0.1', () => console.log(`listening on ${server.address().port}`));
process.stdin.on('end', () => process.exit()).resume(); // ends with whoever started it
