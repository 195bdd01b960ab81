/** A TCP proxy before a server that a test can make vanish and come back: the network between two machines. */
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

export class CuttableProxy {
  /** An address of its own: while it is cut, its port on 127.0.0.1 would be given to whoever asks for one. */
  readonly #host = `127.${[randomInt(1, 255), randomInt(256), randomInt(1, 255)].join('.')}`;
  readonly #targetPort: number;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  /** The same before and after a cut. */
  port = 0;

  constructor(targetPort: number) {
    this.#targetPort = targetPort;
  }

  /** As an endpoint of S3. */
  get endpoint(): string {
    return `http://${this.#host}:${this.port}`;
  }

  async open(): Promise<this> {
    const server = createServer((near) => this.#join(near));
    server.listen(this.port, this.#host);
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('The proxy has no port');
    this.port = address.port;
    this.#server = server;
    return this;
  }

  /** Connections are reset and new ones refused. */
  async cut(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (!server) return;
    const closed = once(server, 'close');
    server.close();
    for (const socket of this.#sockets) socket.resetAndDestroy();
    await closed;
  }

  #join(near: Socket): void {
    const far = connect(this.#targetPort, '127.0.0.1');
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(one);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        this.#sockets.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  }
}
