/** What an MSR says of itself: version, health, and the description of its own API. */
import { z } from 'zod';
import type { MsrConnection } from './msr-connection.ts';
import { isMsrError } from './msr-error.ts';

export interface MsrVersion {
  /** As MSR writes it: `2.9.18`. */
  readonly text: string;
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
}

export interface MsrHealth {
  readonly isHealthy: boolean;
  /** MSR's words; empty when all is well. */
  readonly problem: string;
}

/** The live description, where this server has one. */
export interface MsrSpec {
  readonly version: string | undefined;
  /** `GET /api/v0/jobs/{jobID}` … */
  readonly operations: ReadonlySet<string>;
}

const VERSION = /^v?(\d+)\.(\d+)\.(\d+)/;
/** A description of everything that MSR can do is large. */
const SPEC_BYTES_MAX = 16 * 1024 * 1024;
const METHODS = ['get', 'put', 'post', 'delete', 'patch', 'head', 'options'];

/** `GET /api/v0/admin/version`; older releases tell it in the description of their API only. */
export async function readVersion(msr: MsrConnection, signal: AbortSignal): Promise<MsrVersion> {
  const operation = 'read the version';
  const schema = z.object({ version: z.string().regex(VERSION) });
  try {
    const answer = await msr.send(signal, { method: 'GET', operation, path: '/api/v0/admin/version' });
    return parseVersion(answer.read(schema).version);
  } catch (error) {
    if (!isMsrError(error, 'not-found')) throw error;
    const answer = await msr.send(signal, specRequest(operation));
    return parseVersion(answer.read(z.object({ info: schema })).info.version);
  }
}

function parseVersion(text: string): MsrVersion {
  const [, major, minor, patch] = VERSION.exec(text) ?? [];
  return { text, major: Number(major), minor: Number(minor), patch: Number(patch) };
}

/** `GET /health`, which needs no credentials. */
export async function readHealth(msr: MsrConnection, signal: AbortSignal): Promise<MsrHealth> {
  const answer = await msr.send(signal, {
    method: 'GET',
    operation: 'ask for the health',
    path: '/health',
    authorization: 'none',
    accepts: [500, 503],
  });
  const { healthy, error } = answer.read(z.object({ healthy: z.boolean(), error: z.string().optional() }));
  return { isHealthy: healthy, problem: error ?? '' };
}

/** `GET /api/v0/docs.json` (Swagger); undefined where the server has none. */
export async function readSpec(msr: MsrConnection, signal: AbortSignal): Promise<MsrSpec | undefined> {
  const answer = await msr.send(signal, {
    ...specRequest('read the description of the API'),
    accepts: [401, 403, 404],
  });
  if (answer.status >= 400) return undefined;
  const spec = answer.read(
    z.object({
      basePath: z.string().optional(),
      info: z.object({ version: z.string().optional() }).optional(),
      paths: z.record(z.string(), z.record(z.string(), z.unknown())),
    }),
  );
  const base = (spec.basePath ?? '').replace(/\/$/, '');
  const operations = Object.entries(spec.paths).flatMap(([path, methods]) =>
    Object.keys(methods)
      .filter((method) => METHODS.includes(method.toLowerCase()))
      .map((method) => `${method.toUpperCase()} ${path.startsWith(`${base}/`) ? path : `${base}${path}`}`),
  );
  return { version: spec.info?.version, operations: new Set(operations) };
}

function specRequest(operation: string) {
  return { method: 'GET', operation, path: '/api/v0/docs.json', bytesMax: SPEC_BYTES_MAX } as const;
}
