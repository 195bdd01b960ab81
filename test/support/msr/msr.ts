/**
 * A stand-in for Mirantis Secure Registry 2.9: its HTTP API, replicas that serve real pushes and pulls, its storage in
 * MSR's own layout, and a `docker` that runs `mirantis/dtr` against it. Nobody here has a licence for the real one, so
 * this table says of everything whether it is documented (or was read in a client or a listing of the real thing), comes
 * from releases before 2.9 ("older"), or is assumed. What is unsure has a switch in `Assumptions` where a test may need
 * both ways.
 *
 *   Basic auth, password or access token; 401; 403 for others than administrators    documented (codes assumed)
 *   {"errors":[{"code","message"}]}, NO_SUCH_JOB                                     documented (other codes assumed)
 *   GET  /ca, /health, /_ping                                                        documented
 *   GET  /api/v0/admin/version; /api/v0/docs.json without credentials                documented; its paths assumed
 *   GET  /api/v0/meta/settings: fields                                               read in a client of 2.6
 *     readOnlyRegistry in the answer                                                 unknown: `settingsTellReadOnly`
 *   POST /api/v0/meta/settings, partial, 202                                         documented; INVALID_SETTINGS older
 *   read-only one replica after the other, by a restart each; job `ro_registry`      older; the job's name documented
 *   GET  /api/v0/meta/cluster_status: fields                                         documented; both places of current_issues
 *     replica_readonly                                                               read in a client: `statusTellsReadOnly`
 *     a replica that restarts is not "OK"                                            assumed
 *   jobs: POST 202, list by action, worker, running, start, limit; newest first      documented; order older; limit 10 older
 *     states and their names; cancel 204; delete 204                                 documented; 204 older
 *     logs as [{"data"}], before 2.5 [{"Data"}]                                      documented: `logField`
 *     a job that failed with retries left gets another one with retryFromID          assumed
 *   crons: list, GET by action, POST as upsert (202), six fields                     documented; upsert and 202 older
 *     DELETE by id or by action                                                      older, unsure: `cronsDeletedBy`
 *   GET, PUT /api/v0/admin/settings/registry, keep_metadata                          documented for 2.6; shape unsure: `settingsShape`
 *     a trial write to the new storage, 400 with the driver's words                  older
 *     maintenance.readonly in the body rules; without keep_metadata tags are lost    assumed
 *   onlinegc_blobs removes blobs that no row names                                   documented
 *   GET, DELETE below /api/v0/repositories                                           paths documented, bodies assumed
 *   storage: docker/registry/v2/blobs/id/<2>/<id>/data; rows with sha256sum          documented
 *     manifests lie there as blobs too, tags and links in the database only          assumed
 *   backup: names of members, tables                                                 seen on 2.9.4; JSON rows older; columns of
 *                                                                                    blobs, blob_links, manifests and tags read in checkers
 *     settings and read-only in `properties`, brought back by restore                assumed: `restoresReadOnly`
 *     a reconfigure leaves the registry read-only                                    assumed: `reconfiguresReadOnly`
 *   run backup | restore | reconfigure | destroy and their flags                     documented; `--storage-migrated` unsure in 2.9
 *     one storage flag for restore, same version, no replica left                    documented
 *     --dtr-use-default-storage: the storage recorded in the backup                  documented
 *     a change of the storage without --storage-migrated                             2.9 keeps tags: `withoutMigratedFlag`
 *
 * Pushes and pulls are a real docker-registry's (one for each replica, on one working tree in distribution's layout), and
 * read-only is its own `maintenance.readonly`. What a push has brought is put into the storage and the rows before the
 * client gets its answer. When the storage is switched, restored or swept, the tree is made anew from the rows and from
 * what the storage then holds: bytes that are not there cannot be pulled. Not here: unfinished uploads in the storage,
 * users and teams, chart repositories, image scans.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeTempFolder, type TempFolder } from '../temp.ts';
import { type ApiAnswer, answerApi, FOR_EVERYBODY, failure } from './api.ts';
import { callOf, DockerDaemon } from './docker-daemon.ts';
import { type Fault, Faults } from './faults.ts';
import { isRecord, type JsonRecord } from './json.ts';
import { type MsrOptions, MsrState, type MsrUser } from './state.ts';

/** One call that the stand-in answered, or a command that its Docker ran. */
export interface LoggedCall {
  /** `GET /api/v0/jobs`; `docker run backup`. */
  readonly call: string;
  readonly query: string;
  /** HTTP status, 0 where there was no answer; or exit code. */
  readonly status: number;
  readonly json: JsonRecord | undefined;
}

const BODY_BYTES_MAX = 4 * 1024 * 1024;

export async function startMsr(options: MsrOptions): Promise<Msr> {
  const folder = await makeTempFolder('msr');
  const msr = new Msr(options, folder);
  try {
    await msr.start();
    return msr;
  } catch (error) {
    await msr.stop();
    throw error;
  }
}

export class Msr {
  readonly state: MsrState;
  readonly faults = new Faults();
  readonly docker: DockerDaemon;
  /** In the order of their answers. */
  readonly calls: LoggedCall[] = [];
  readonly #folder: TempFolder;
  readonly #server: Server;
  readonly #registryTokens = new Set<string>();

  constructor(options: MsrOptions, folder: TempFolder) {
    this.#folder = folder;
    this.state = new MsrState(options, folder);
    this.docker = new DockerDaemon(this.state, (args, status) => {
      this.calls.push({ call: callOf(args), query: '', status, json: undefined });
    });
    const serve = (request: IncomingMessage, response: ServerResponse): void => {
      this.#serve(request, response).catch((error: unknown) => {
        if (!response.headersSent) response.writeHead(500);
        response.end(String(error));
      });
    };
    this.#server = options.tls ? createTlsServer({ ...options.tls }, serve) : createServer(serve);
  }

  async start(): Promise<void> {
    await mkdir(this.state.tree, { recursive: true });
    await this.state.start();
    await this.docker.start();
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    await this.#writeDocker();
  }

  async stop(): Promise<void> {
    if (this.#server.listening) {
      this.#server.close();
      this.#server.closeAllConnections();
      await once(this.#server, 'close');
      await this.docker.close();
    }
    await this.state.close();
    await this.#folder.remove();
  }

  /** `127.0.0.1:port` */
  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get url(): string {
    return `${this.state.options.tls ? 'https' : 'http'}://${this.host}`;
  }

  /** Folder with a `docker`, and where that finds its daemon: what a command that should use it needs. */
  get environment(): { readonly PATH: string; readonly BLOBFERRY_TEST_DOCKER: string } {
    const PATH = `${join(this.#folder.path, 'bin')}:${process.env['PATH'] ?? ''}`;
    return { PATH, BLOBFERRY_TEST_DOCKER: this.docker.address };
  }

  /** An access token of a user. */
  addToken(name = 'admin'): string {
    const token = randomBytes(16).toString('hex');
    this.#user(name).tokens.add(token);
    return token;
  }

  revokeTokens(name = 'admin'): void {
    this.#user(name).tokens.clear();
  }

  /** What was called so far, in order: `POST /api/v0/jobs` … */
  get called(): readonly string[] {
    return this.calls.map(({ call }) => call);
  }

  #user(name: string): MsrUser {
    const user = this.state.users.get(name);
    if (!user) throw new Error(`The stand-in has no user "${name}"`);
    return user;
  }

  async #writeDocker(): Promise<void> {
    const script = fileURLToPath(new URL('./docker.ts', import.meta.url));
    const path = join(this.#folder.path, 'bin', 'docker');
    await mkdir(join(this.#folder.path, 'bin'));
    // A migration calls it fifty times.
    const cache = process.env['NODE_COMPILE_CACHE'];
    const keep = cache === undefined ? '' : `NODE_COMPILE_CACHE='${cache}' `;
    await writeFile(path, `#!/bin/sh\n${keep}exec '${process.execPath}' '${script}' "$@"\n`);
    await chmod(path, 0o755);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://msr');
    const call = `${request.method} ${url.pathname}`;
    response.setHeader('date', new Date(Date.now() + this.state.clockAheadMs).toUTCString());
    // Nobody listens where every replica was destroyed.
    if (this.state.replicas.ids.length === 0) return void request.socket.destroy();
    const fault = this.faults.take(call);
    if (fault?.kind === 'delay') await new Promise((resolve) => setTimeout(resolve, fault.ms));
    const log = (status: number, json?: JsonRecord): void =>
      void this.calls.push({ call, query: url.search, status, json });
    if (fault?.kind === 'hang' || fault?.kind === 'reset') {
      log(0);
      if (fault.kind === 'reset') request.socket.destroy();
      return;
    }
    if (url.pathname.startsWith('/v2/') && (fault === undefined || fault.kind === 'delay')) {
      log(await this.#registry(request, response, url));
      return;
    }
    const body = await bodyOf(request);
    const json = jsonOf(body);
    if (fault?.kind === 'answer' && fault.text !== undefined) {
      log(fault.status, json);
      response.writeHead(fault.status).end(fault.text);
      return;
    }
    const answer = insteadOf(fault) ?? (await this.#answer(request, url, json));
    log(answer.status, json);
    if (fault?.kind === 'lost-reply') return void request.socket.destroy();
    if (typeof answer.json === 'string') {
      response.writeHead(answer.status, { 'content-type': 'application/x-pem-file' }).end(answer.json);
      return;
    }
    const headers = { 'content-type': 'application/json', 'strict-transport-security': 'max-age=63072000' };
    response.writeHead(answer.status, headers);
    response.end(answer.json === undefined ? undefined : JSON.stringify(answer.json));
  }

  async #answer(request: IncomingMessage, url: URL, json: JsonRecord | undefined): Promise<ApiAnswer> {
    const method = request.method ?? '';
    const { pathname: path, searchParams: query } = url;
    if (path === '/ca') return { status: 200, json: this.state.options.tls?.cert ?? '' };
    if (path === '/_ping') return { status: 200, json: {} };
    if (path === '/health') {
      const bad = Object.entries(this.state.replicas.health()).filter(([, word]) => word !== 'OK');
      const error = bad.map(([id, word]) => `${id}: ${word}`).join(', ');
      return { status: 200, json: { error, healthy: error === '' } };
    }
    if (path === '/api/v0/docs.json') return answerApi(this.state, { method, path, query, json });
    const user = this.#userOf(request);
    if (!user) return failure(401, 'UNAUTHORIZED', 'The client is not authenticated.');
    if (path === '/auth/token') return { status: 200, json: { token: this.#newRegistryToken() } };
    if (!user.isAdmin && !FOR_EVERYBODY.test(`${method} ${path}`)) {
      return failure(403, 'NOT_AUTHORIZED', 'Access forbidden: you have to be a system admin.');
    }
    return answerApi(this.state, { method, path, query, json });
  }

  #userOf(request: IncomingMessage): MsrUser | undefined {
    const [, basic = ''] = /^Basic (\S+)$/.exec(request.headers.authorization ?? '') ?? [];
    const [name = '', ...rest] = Buffer.from(basic, 'base64').toString('utf8').split(':');
    const user = this.state.users.get(name);
    const secret = rest.join(':');
    return user && (user.password === secret || user.tokens.has(secret)) ? user : undefined;
  }

  #newRegistryToken(): string {
    const token = randomBytes(16).toString('hex');
    this.#registryTokens.add(token);
    return token;
  }

  async #registry(request: IncomingMessage, response: ServerResponse, url: URL): Promise<number> {
    const { replicas, options } = this.state;
    const [, bearer = ''] = /^Bearer (\S+)$/.exec(request.headers.authorization ?? '') ?? [];
    if (options.wantsRegistryToken === true && !this.#registryTokens.has(bearer)) {
      const challenge = `Bearer realm="${this.url}/auth/token",service="${this.host}",scope="registry:catalog:*"`;
      response.writeHead(401, { 'www-authenticate': challenge, 'content-type': 'application/json' });
      response.end('{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}');
      return 401;
    }
    return replicas.forward(request, response, async (status) => {
      const isWritten =
        [201, 202].includes(status) && ['PUT', 'POST', 'DELETE'].includes(request.method ?? '');
      const isOfUpload = status === 202 && request.method === 'POST';
      // Blobs get into rows and storage here, before their push is acknowledged.
      if (isWritten && !isOfUpload && !/\/_catalog/.test(url.pathname)) await this.state.absorb();
    });
  }
}

function insteadOf(fault: Fault['does'] | undefined): ApiAnswer | undefined {
  if (fault?.kind === 'no-effect') return { status: fault.status };
  return fault?.kind === 'answer' ? { status: fault.status, json: fault.json } : undefined;
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of request) {
    bytes += (piece as Buffer).length;
    if (bytes <= BODY_BYTES_MAX) pieces.push(piece as Buffer);
  }
  return Buffer.concat(pieces);
}

function jsonOf(body: Buffer): JsonRecord | undefined {
  try {
    const json: unknown = JSON.parse(body.toString('utf8'));
    return isRecord(json) ? json : undefined;
  } catch {
    return undefined;
  }
}
