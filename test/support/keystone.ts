/**
 * A small strict Keystone, versions 2 and 3, with the object store that its catalog names. Written from the references
 * https://docs.openstack.org/api-ref/identity/v3/ ("Authentication and token management") and, for version 2,
 * https://docs.openstack.org/api-ref/identity/v2/ ("POST /v2.0/tokens"); every answer says which part it follows.
 */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Answer, type Grant, isRecord, v2Grant, v3Grant } from './keystone-rules.ts';

export interface KeystoneOptions {
  /** How long a token lasts; default an hour. */
  readonly tokenMs?: number;
}

interface Token extends Grant {
  readonly id: string;
  readonly expiresAtMs: number;
}

const BODY_BYTES_MAX = 64 * 1024;
const INTERFACES = ['public', 'internal', 'admin'] as const;
const REGIONS = ['RegionOne', 'RegionTwo'] as const;

export class Keystone {
  readonly #server: Server = createServer((request, response) => void this.#serve(request, response));
  readonly #tokens = new Map<string, Token>();
  readonly #tokenMs: number;
  /** What the object store holds, by its whole path: `/<interface>-<region>/v1/AUTH_<project>/<container>/<name>`. */
  readonly objects = new Map<string, Buffer>();
  /** Tokens that were given out. */
  grants = 0;
  /** Requests to the object store that came with a token that has ended, or is none. */
  refusals = 0;

  constructor({ tokenMs = 3_600_000 }: KeystoneOptions = {}) {
    this.#tokenMs = tokenMs;
  }

  async start(): Promise<this> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return this;
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  /** As an operator does: from now on they are refused. */
  revokeAll(): void {
    this.#tokens.clear();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = decodeURIComponent(new URL(request.url ?? '', this.origin).pathname);
    const body = await bodyOf(request);
    if (path === '/v3/auth/tokens') return send(response, this.#v3(request, body));
    if (path === '/v2.0/tokens') return send(response, this.#v2(request, body));
    if (/^\/(?:public|internal|admin)-/.test(path)) return this.#store(request, response, path);
    // "404 Not Found" is Keystone's answer to a path that is none of its own.
    return send(response, failure(404, 'Not Found', 'The resource could not be found.'));
  }

  /** "Password authentication with scoped authorization": 201, the token in X-Subject-Token, `token` in the body. */
  #v3(request: IncomingMessage, body: Buffer): Answer {
    const json = jsonOf(request, body);
    const grant = json === undefined ? failure(400, 'Bad Request', 'The body is no JSON.') : v3Grant(json);
    if ('status' in grant) return grant;
    const token = this.#give(grant);
    const { project } = grant;
    return {
      status: 201,
      headers: { 'x-subject-token': token.id },
      json: {
        token: {
          methods: [grant.method],
          user: grant.user,
          // "The date and time when the token expires … ISO 8601 (YYYY-MM-DDThh:mm:ss.sssZ)", with microseconds.
          expires_at: new Date(token.expiresAtMs).toISOString().replace('Z', '000Z'),
          issued_at: new Date().toISOString().replace('Z', '000Z'),
          audit_ids: [randomUUID()],
          // "Unscoped authorization": such a token has no project and no catalog.
          ...(project
            ? { project, roles: [{ id: 'r1', name: 'member' }], catalog: this.#catalog(project.id) }
            : {}),
        },
      },
    };
  }

  #catalog(project: string): unknown {
    const endpoints = REGIONS.flatMap((region) =>
      INTERFACES.map((kind) => ({
        id: randomUUID(),
        interface: kind,
        region,
        region_id: region,
        url: this.#address(kind, region, project),
      })),
    );
    const other = { id: 'i1', interface: 'public', region: 'RegionOne', region_id: 'RegionOne' };
    return [
      { id: 's1', type: 'identity', name: 'keystone', endpoints: [{ ...other, url: `${this.origin}/v3` }] },
      { id: 's2', type: 'object-store', name: 'swift', endpoints },
    ];
  }

  /** Version 2, "Authenticate": 200, `access` with the token and its `serviceCatalog`. */
  #v2(request: IncomingMessage, body: Buffer): Answer {
    const json = jsonOf(request, body);
    const grant = json === undefined ? failure(400, 'Bad Request', 'The body is no JSON.') : v2Grant(json);
    if ('status' in grant) return grant;
    const token = this.#give(grant);
    const { project } = grant;
    const serviceCatalog = REGIONS.map((region) => ({
      region,
      publicURL: this.#address('public', region, project?.id ?? ''),
      internalURL: this.#address('internal', region, project?.id ?? ''),
      adminURL: this.#address('admin', region, project?.id ?? ''),
    }));
    return {
      status: 200,
      headers: {},
      json: {
        access: {
          token: {
            id: token.id,
            // Seconds, without a fraction.
            expires: new Date(token.expiresAtMs).toISOString().replace(/\.\d+Z$/, 'Z'),
            ...(project ? { tenant: { id: project.id, name: project.name, enabled: true } } : {}),
          },
          serviceCatalog: project
            ? [{ type: 'object-store', name: 'swift', endpoints: serviceCatalog, endpoints_links: [] }]
            : [],
          user: { id: grant.user.id, name: grant.user.name, username: grant.user.name, roles: [] },
        },
      },
    };
  }

  #address(kind: string, region: string, project: string): string {
    return `${this.origin}/${kind}-${region}/v1/AUTH_${project}`;
  }

  #give(grant: Grant): Token {
    const token = { ...grant, id: `token-${randomUUID()}`, expiresAtMs: Date.now() + this.#tokenMs };
    this.#tokens.set(token.id, token);
    this.grants += 1;
    return token;
  }

  /** https://docs.openstack.org/api-ref/object-store/: HEAD and GET of objects, 401 without a token that is valid. */
  #store(request: IncomingMessage, response: ServerResponse, path: string): void {
    const token = this.#tokens.get(String(request.headers['x-auth-token']));
    const isValid = token !== undefined && token.expiresAtMs > Date.now();
    const account = /\/v1\/AUTH_([^/]*)/.exec(path)?.[1];
    response.setHeader('x-trans-id', randomUUID());
    if (!isValid) {
      this.refusals += 1;
      response.setHeader('www-authenticate', "Keystone uri='http://keystone'");
      response
        .writeHead(401)
        .end('<html><h1>Unauthorized</h1><p>This server could not verify you.</p></html>');
      return;
    }
    // Another project's account.
    if (token.project?.id !== account) return void response.writeHead(403).end();
    const object = this.objects.get(path);
    if (object === undefined) return void response.writeHead(404).end();
    response.writeHead(200, { etag: 'd41d8cd98f00b204e9800998ecf8427f', 'content-length': object.length });
    response.end(request.method === 'HEAD' ? undefined : object);
  }
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

/** Both versions take POST with JSON, and nothing else. */
function jsonOf(request: IncomingMessage, body: Buffer): Readonly<Record<string, unknown>> | undefined {
  if (request.method !== 'POST' || request.headers['content-type'] !== 'application/json') return undefined;
  try {
    const json: unknown = JSON.parse(body.toString('utf8'));
    return isRecord(json) ? json : undefined;
  } catch {
    return undefined;
  }
}

/** Errors of Keystone: `{"error": {"code", "message", "title"}}`. */
function failure(status: number, title: string, message: string): Answer {
  return { status, headers: {}, json: { error: { code: status, title, message } } };
}

function send(response: ServerResponse, { status, headers, json }: Answer): void {
  response.writeHead(status, { ...headers, 'content-type': 'application/json', vary: 'X-Auth-Token' });
  response.end(JSON.stringify(json));
}
