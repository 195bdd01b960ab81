/**
 * A proxy before a storage service that turns a bit of a body over, on its way up or down, and writes down that it did.
 * Everything else passes as it came: the names and the order of headers, and the Host that a signature is over.
 */
import { once } from 'node:events';
import {
  Agent,
  createServer,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { Transform } from 'node:stream';

export interface FlipRule {
  /** `up`: bodies of PUT; `down`: bodies of successful answers to GET. */
  readonly way: 'up' | 'down';
  /** What is asked for, as it stands in the request; default: everything. */
  readonly match?: (target: string) => boolean;
  /** Smaller bodies pass unchanged. */
  readonly bytesMin: number;
  /** Default: each time. */
  readonly times?: number;
}

/** A bit that was turned over: of which body, and how large that is. */
export interface Flip {
  readonly method: string;
  readonly target: string;
  readonly bytes: number;
}

interface Flipping {
  readonly rule: FlipRule;
  readonly flips: Flip[];
}

export interface FlipProxyOptions {
  /** Headers that do not reach the service; lower case. What they would have bound is then bound by nothing. */
  readonly dropsHeaders?: readonly string[];
}

export class FlipProxy {
  /** `http://127.0.0.1:port` */
  readonly origin: string;
  readonly #server: Server;
  readonly #upstream: URL;
  readonly #drops: ReadonlySet<string>;
  readonly #agent = new Agent({ keepAlive: true });
  #rules: readonly Flipping[] = [];

  private constructor(server: Server, upstream: URL, { dropsHeaders = [] }: FlipProxyOptions) {
    this.#server = server;
    this.#upstream = upstream;
    this.#drops = new Set(dropsHeaders);
    this.origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on('request', (asked: IncomingMessage, answer: ServerResponse) => this.#pass(asked, answer));
  }

  /** @param upstream `http://host:port`; a path behind that is left to the requests. */
  static async start(upstream: string, options: FlipProxyOptions = {}): Promise<FlipProxy> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new FlipProxy(server, new URL(upstream), options);
  }

  /** From now on. @returns the bits that the rule has turned over, growing. */
  flip(rule: FlipRule): readonly Flip[] {
    const flipping: Flipping = { rule, flips: [] };
    this.#rules = [...this.#rules, flipping];
    return flipping.flips;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#agent.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #pass(asked: IncomingMessage, answer: ServerResponse): void {
    const { method = 'GET', url: target = '/' } = asked;
    const onward = request({
      host: this.#upstream.hostname,
      port: this.#upstream.port,
      agent: this.#agent,
      method,
      path: target,
      headers: this.#without(asked.rawHeaders),
    });
    onward.on('response', (response) => {
      answer.sendDate = false;
      answer.writeHead(response.statusCode ?? 502, response.rawHeaders);
      const isObject = method === 'GET' && (response.statusCode === 200 || response.statusCode === 206);
      this.#piped(response, isObject ? { way: 'down', method, target } : undefined).pipe(answer);
    });
    onward.on('error', () => answer.destroy());
    answer.on('close', () => onward.destroy());
    this.#piped(asked, method === 'PUT' ? { way: 'up', method, target } : undefined).pipe(onward);
  }

  #piped(
    body: IncomingMessage,
    one: { readonly way: FlipRule['way']; readonly method: string; readonly target: string } | undefined,
  ): NodeJS.ReadableStream {
    const bytes = Number(body.headers['content-length'] ?? 0);
    const struck = one && this.#strike(one.way, one.target, bytes);
    if (!one || !struck) return body;
    const { method, target } = one;
    struck.flips.push({ method, target, bytes });
    return body.pipe(flippedAt(Math.floor(bytes / 2)));
  }

  #strike(way: FlipRule['way'], target: string, bytes: number): Flipping | undefined {
    return this.#rules.find(
      ({ rule, flips }) =>
        rule.way === way &&
        bytes >= rule.bytesMin &&
        flips.length < (rule.times ?? Number.POSITIVE_INFINITY) &&
        (rule.match?.(target) ?? true),
    );
  }

  #without(rawHeaders: readonly string[]): string[] {
    const kept: string[] = [];
    for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
      const [name = '', value = ''] = rawHeaders.slice(at, at + 2);
      if (!this.#drops.has(name.toLowerCase())) kept.push(name, value);
    }
    return kept;
  }
}

/** Turns the lowest bit of one byte over. */
function flippedAt(offset: number): Transform {
  let passed = 0;
  return new Transform({
    transform(piece: Buffer, _, done) {
      const at = offset - passed;
      passed += piece.length;
      if (at < 0 || at >= piece.length) return done(null, piece);
      const changed = Buffer.from(piece);
      changed[at] = (changed[at] ?? 0) ^ 1;
      done(null, changed);
    },
  });
}
