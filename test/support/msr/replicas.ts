/**
 * The replicas of the stand-in: each a real docker-registry on one working tree. A switch to or from read-only goes from
 * replica to replica: each stops, is away for a while, and comes back; time is counted in looks at the cluster's state.
 */
import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { type Registry, startRegistry } from '../registry.ts';

export interface ReplicaOptions {
  /** Folder with `docker/`, which all of them share. */
  readonly tree: string;
  /** Looks until a replica that was stopped is back. */
  readonly looksPerRestart: number;
  /** False: nothing stands behind them, for tests that neither push nor pull. */
  readonly hasRegistry: boolean;
}

interface Replica {
  readonly id: string;
  registry: Registry | undefined;
  isReadOnly: boolean;
}

interface Switch {
  readonly isReadOnly: boolean;
  readonly left: Replica[];
  looks: number;
  readonly onDone: () => void;
}

export class Replicas {
  readonly #options: ReplicaOptions;
  #replicas: Replica[] = [];
  #switch: Switch | undefined;
  #turn = 0;
  #queue: Promise<unknown> = Promise.resolve();
  /** Replicas that ignore a switch: they never restart. */
  readonly stubborn = new Set<string>();
  /** What a replica says of its health in place of `OK`. */
  readonly ailments = new Map<string, string>();

  constructor(options: ReplicaOptions) {
    this.#options = options;
  }

  get ids(): readonly string[] {
    return this.#replicas.map(({ id }) => id);
  }

  start(ids: readonly string[], isReadOnly: boolean): Promise<void> {
    return this.#inTurn(() => this.#start(ids, isReadOnly));
  }

  stop(): Promise<void> {
    return this.#inTurn(() => this.#stop());
  }

  async #start(ids: readonly string[], isReadOnly: boolean): Promise<void> {
    await this.#stop();
    this.#replicas = ids.map((id) => ({ id, registry: undefined, isReadOnly }));
    await Promise.all(this.#replicas.map((replica) => this.#open(replica, isReadOnly)));
  }

  async #stop(): Promise<void> {
    this.#switch = undefined;
    const replicas = this.#replicas;
    this.#replicas = [];
    await Promise.all(replicas.map((replica) => replica.registry?.stop()));
  }

  destroy(id: string): Promise<void> {
    return this.#inTurn(async () => {
      const replica = this.#replicas.find((one) => one.id === id);
      this.#replicas = this.#replicas.filter((one) => one !== replica);
      await replica?.registry?.stop();
    });
  }

  /** @param onDone called when the last one is back. */
  switchTo(isReadOnly: boolean, onDone: () => void): void {
    this.#switch = { isReadOnly, left: [...this.#replicas], looks: 0, onDone };
  }

  /** One of them comes back as it should not: what an operator or a crash may do. */
  setOne(id: string, isReadOnly: boolean): Promise<void> {
    return this.#inTurn(async () => {
      const replica = this.#replicas.find((one) => one.id === id);
      if (!replica) throw new Error(`There is no replica ${id}`);
      await replica.registry?.stop();
      await this.#open(replica, isReadOnly);
    });
  }

  /** Somebody looks at the cluster: meanwhile the switch under way has gone on. */
  look(): Promise<void> {
    return this.#inTurn(() => this.#goOn());
  }

  async #goOn(): Promise<void> {
    const under = this.#switch;
    if (!under) return;
    const replica = under.left.find(({ id }) => !this.stubborn.has(id));
    if (!replica) {
      if (under.left.length === 0) this.#end(under);
      return;
    }
    under.looks += 1;
    await replica.registry?.stop();
    replica.registry = undefined;
    if (under.looks < this.#options.looksPerRestart) return;
    under.looks = 0;
    under.left.splice(under.left.indexOf(replica), 1);
    await this.#open(replica, under.isReadOnly);
    if (under.left.length === 0) this.#end(under);
  }

  health(): Readonly<Record<string, string>> {
    return Object.fromEntries(
      this.#replicas.map(({ id, registry }) => [
        id,
        this.ailments.get(id) ?? (registry ? 'OK' : 'registry: connection refused'),
      ]),
    );
  }

  readOnly(): Readonly<Record<string, boolean>> {
    return Object.fromEntries(this.#replicas.map(({ id, isReadOnly }) => [id, isReadOnly]));
  }

  /**
   * Passes a request on to one replica after the other, as the balancer in front of them does.
   * @param before called with the status before the answer goes out, which it holds back.
   */
  async forward(
    request: IncomingMessage,
    response: ServerResponse,
    before: (status: number) => Promise<void>,
  ): Promise<number> {
    const running = this.#replicas.flatMap(({ registry }) => (registry ? [registry] : []));
    const registry = running[this.#turn++ % Math.max(1, running.length)];
    if (!registry) {
      response.writeHead(503).end();
      return 503;
    }
    const [host = '', port = ''] = registry.host.split(':');
    const { authorization: _, ...headers } = request.headers;
    const onward = httpRequest({ host, port, method: request.method, path: request.url, headers });
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    onward.once('response', resolve);
    onward.once('error', reject);
    request.pipe(onward);
    // Whoever goes first, client or replica, takes the other one with it.
    response.once('close', () => onward.destroy());
    try {
      const answer = await promise;
      const status = answer.statusCode ?? 500;
      await before(status);
      response.writeHead(status, answer.headers);
      answer.once('error', () => response.destroy());
      answer.pipe(response);
      return status;
    } catch (error) {
      // A replica that stops takes the uploads under way with it.
      if ((error as NodeJS.ErrnoException).code === undefined) throw error;
      response.writeHead(502).end();
      return 502;
    }
  }

  /** What starts and stops replicas does so one after the other. */
  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const done = this.#queue.then(task);
    this.#queue = done.catch(() => undefined);
    return done;
  }

  #end(under: Switch): void {
    this.#switch = undefined;
    under.onDone();
  }

  async #open(replica: Replica, isReadOnly: boolean): Promise<void> {
    const { hasRegistry, tree } = this.#options;
    replica.registry = hasRegistry
      ? await startRegistry({ storage: { filesystem: tree }, isReadOnly })
      : { host: '127.0.0.1:0', lastWords: () => '', stop: async () => undefined };
    replica.isReadOnly = isReadOnly;
  }
}
