/**
 * A small server in front of a real service: it passes requests on, and answers some of them itself or changes what came
 * back, as a test says. So a service can be met in states that it is in only now and then.
 */
import { once } from 'node:events';
import { request as ask, createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface FrontRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface FrontAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface FrontRules {
  /** What is answered instead of asking the service. */
  before?(request: FrontRequest): Partial<FrontAnswer> | undefined;
  /** Where the request goes, with headers of its own; default: as it came. */
  onward?(request: FrontRequest): { readonly path?: string; readonly headers?: IncomingHttpHeaders };
  /** What is answered in the place of what the service said. */
  after?(request: FrontRequest, answer: FrontAnswer): FrontAnswer | undefined;
}

export class Front {
  readonly origin: string;
  /** Everything that came. */
  readonly seen: FrontRequest[] = [];
  readonly close: () => void;
  rules: FrontRules = {};

  private constructor(origin: string, close: () => void) {
    this.origin = origin;
    this.close = close;
  }

  /** @param target origin of the service; absent for a front with nothing behind it, which answers 404 then. */
  static async start(target?: string): Promise<Front> {
    const server = createServer((asked, response) => {
      const pieces: Buffer[] = [];
      asked.on('data', (piece: Buffer) => pieces.push(piece));
      asked.on('end', async () => {
        const { method = 'GET', url = '/', headers } = asked;
        const body = Buffer.concat(pieces);
        const one: FrontRequest = { method, url: new URL(url, front.origin), headers, body };
        front.seen.push(one);
        const answer = await front.#answerTo(one, { url, target });
        // Of a HEAD the length is that of the body which is not sent.
        const length = method === 'HEAD' ? {} : { 'content-length': String(answer.body.length) };
        if (Object.hasOwn(answer.headers, 'date')) response.sendDate = false;
        const { 'transfer-encoding': _, connection: __, ...rest } = answer.headers;
        const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
        response.writeHead(answer.status, { ...given, ...length } as Record<string, string>);
        response.end(method === 'HEAD' ? undefined : answer.body);
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const front = new Front(`http://127.0.0.1:${port}`, () => {
      server.closeAllConnections();
      server.close();
    });
    return front;
  }

  async #answerTo(
    one: FrontRequest,
    { url, target }: { readonly url: string; readonly target: string | undefined },
  ): Promise<FrontAnswer> {
    const { rules } = this;
    const own = rules.before?.(one);
    if (own) return { status: 200, headers: {}, body: Buffer.alloc(0), ...own };
    if (target === undefined)
      return { status: 404, headers: {}, body: Buffer.from('<html>Not found</html>') };
    const { path = url, headers = one.headers } = rules.onward?.(one) ?? {};
    const answer = await passOn(target, { method: one.method, path, headers, body: one.body });
    return rules.after?.(one, answer) ?? answer;
  }
}

interface Onward {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** The Host field stays as it came: services make addresses of it. */
async function passOn(target: string, { method, path, headers, body }: Onward): Promise<FrontAnswer> {
  const { hostname, port } = new URL(target);
  const asking = ask({ host: hostname, port, method, path, headers, agent: false });
  asking.end(body);
  const [answer] = await once(asking, 'response');
  const pieces: Buffer[] = [];
  for await (const piece of answer) pieces.push(piece as Buffer);
  return { status: answer.statusCode ?? 500, headers: answer.headers, body: Buffer.concat(pieces) };
}
