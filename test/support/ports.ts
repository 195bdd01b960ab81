/** Free ports for servers that cannot be told to choose one themselves (`:0`) and say which they took. */
import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/**
 * Below the range from which Linux takes ports for outgoing connections and for `listen(0)` (32768 and up), so that a
 * port found free here is not taken by chance before the server binds it.
 */
const PORT_MIN = 15_000;
const PORT_MAX = 32_000;
const TRIES = 200;

/** A port on 127.0.0.1 that nobody listens on now. Another process may be quicker: whoever starts a server retries. */
export async function freePort(): Promise<number> {
  for (let tried = 0; tried < TRIES; tried += 1) {
    const port = randomInt(PORT_MIN, PORT_MAX);
    if (await isFree(port)) return port;
  }
  throw new Error(`No free port on 127.0.0.1 between ${PORT_MIN} and ${PORT_MAX} in ${TRIES} tries`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ host: '127.0.0.1', port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
