/** A running server inside this thread, as the calls that may come from another thread or process. */
import type { FaultRule } from './faults/fault.ts';
import { fromBinary, toBinary } from './http/uri.ts';
import { Listener } from './listener.ts';
import type { RequestRecord } from './request-log.ts';
import { digestOf } from './s3/checksum.ts';
import { S3Service, type Storage } from './s3/service.ts';
import type { Credential } from './s3/sigv4.ts';
import type { S3ServerStats } from './stats.ts';
import { contentOf } from './store/content.ts';

/** What a server is to be like; clonable, as it crosses threads and processes. */
export interface BackendOptions {
  readonly buckets?: readonly string[];
  /** Default `testkey` and `testsecret`. */
  readonly accessKeyId?: string;
  readonly secretAccessKey?: string;
  /** Further credentials, temporary ones among them. */
  readonly credentials?: readonly Credential[];
  /** The only region that signatures may name; default: any, as in Ceph. */
  readonly region?: string;
  /** Default `memory`. `discard`: contents above 4 KiB are checked and then forgotten; reading them is an error. */
  readonly storage?: Storage;
  /** PEM. */
  readonly tls?: { readonly key: string; readonly cert: string };
  /** False: as Ceph 16, which knows no `x-amz-checksum-*` and no trailers. */
  readonly checksums?: boolean;
  /** Keys and groups in a page of a listing at most; default 1,000, as S3 has them. */
  readonly pageKeysMax?: number;
  /** Accepts wrong payload hashes, MD5s, checksums and chunk signatures (the request's own signature is checked). */
  readonly checksNothing?: boolean;
  /**
   * True: ETags are no MD5s, as with SSE-KMS; `dashed`: and show it, as those of multipart uploads do, so that no client
   * takes them for one. Spares the server most of its CPU time per byte.
   */
  readonly opaqueEtags?: boolean | 'dashed';
  /**
   * The checksum of what CopyObject makes. `computed` (default): as AWS, the one that is asked for; `copied`: the
   * source's, whatever is asked for; `none`: as Ceph 20.
   */
  readonly copyChecksums?: 'computed' | 'copied' | 'none';
  /**
   * Lets a Content-Type pass that the signature does not cover, as AWS does and Ceph 20 does not: `mc` over http sends
   * such requests.
   */
  readonly unsignedContentType?: boolean;
  /** Added to the server's clock. */
  readonly clockOffsetMs?: number;
  /** Remembers each request until `takeRequests` is called: for tests that ask what was sent how often. */
  readonly logsRequests?: boolean;
  /** Default 0: any free one. */
  readonly port?: number;
}

export interface PlainObject {
  readonly key: string;
  readonly body: Uint8Array;
  /** As headers in lower case, those among them that no client can set: `x-amz-restore`. */
  readonly attributes?: readonly (readonly [string, string])[];
}

export interface KeyInfo {
  readonly key: string;
  readonly sizeBytes: number;
  /** Without quotes. */
  readonly etag: string;
}

/** Everything here is clonable in and out. */
export interface Backend {
  readonly port: number;
  install(rules: readonly FaultRule[]): Promise<number>;
  used(id: number): Promise<readonly number[]>;
  remove(id: number): Promise<void>;
  stats(): Promise<S3ServerStats>;
  put(bucket: string, objects: readonly PlainObject[]): Promise<void>;
  get(bucket: string, key: string): Promise<Uint8Array | undefined>;
  keys(bucket: string): Promise<readonly KeyInfo[]>;
  /** The requests answered since the last call, in the order of their answers. */
  takeRequests(): Promise<readonly RequestRecord[]>;
  close(): Promise<void>;
}

export const BACKEND_CALLS = [
  'install',
  'used',
  'remove',
  'stats',
  'put',
  'get',
  'keys',
  'takeRequests',
  'close',
] as const;
export type BackendCall = (typeof BACKEND_CALLS)[number];

/** @param scope whose CPU time counts as the server's. */
export async function openBackend(options: BackendOptions, scope: 'thread' | 'process'): Promise<Backend> {
  const service = new S3Service({
    buckets: options.buckets ?? [],
    credentials: [
      {
        accessKeyId: options.accessKeyId ?? 'testkey',
        secretAccessKey: options.secretAccessKey ?? 'testsecret',
      },
      ...(options.credentials ?? []),
    ],
    region: options.region,
    storage: options.storage ?? 'memory',
    checksums: options.checksums ?? true,
    checksNothing: options.checksNothing ?? false,
    pageKeysMax: options.pageKeysMax ?? 1_000,
    opaqueEtags: options.opaqueEtags ?? false,
    copyChecksums: options.copyChecksums ?? 'computed',
    unsignedContentType: options.unsignedContentType ?? false,
    clockOffsetMs: options.clockOffsetMs ?? 0,
    logsRequests: options.logsRequests ?? false,
  });
  const listener = await Listener.listen(service, { port: options.port ?? 0, tls: options.tls });
  return new LocalBackend(service, listener, scope);
}

class LocalBackend implements Backend {
  readonly port: number;
  readonly #service: S3Service;
  readonly #listener: Listener;
  readonly #cpu: () => NodeJS.CpuUsage;
  readonly #cpuBefore: NodeJS.CpuUsage;

  constructor(service: S3Service, listener: Listener, scope: 'thread' | 'process') {
    this.port = listener.port;
    this.#service = service;
    this.#listener = listener;
    this.#cpu = scope === 'thread' ? () => process.threadCpuUsage() : () => process.cpuUsage();
    this.#cpuBefore = this.#cpu();
  }

  async install(rules: readonly FaultRule[]): Promise<number> {
    return this.#service.faults.install(rules);
  }

  async used(id: number): Promise<readonly number[]> {
    return this.#service.faults.used(id);
  }

  async remove(id: number): Promise<void> {
    this.#service.faults.remove(id);
  }

  async stats(): Promise<S3ServerStats> {
    const { user, system } = this.#cpu();
    const before = this.#cpuBefore;
    return this.#listener.stats((user + system - before.user - before.system) / 1e6);
  }

  async put(bucketName: string, objects: readonly PlainObject[]): Promise<void> {
    const bucket = this.#bucket(bucketName);
    const modifiedMs = this.#service.now();
    for (const { key, body, attributes = [] } of objects) {
      const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
      bucket.objects.set(toBinary(key), {
        content: contentOf(bytes, this.#service.store.contents),
        etag: digestOf('md5', bytes).toString('hex'),
        modifiedMs,
        attributes,
      });
    }
  }

  async get(bucketName: string, key: string): Promise<Uint8Array | undefined> {
    const content = this.#bucket(bucketName).objects.get(toBinary(key))?.content;
    return content && Buffer.concat(content.read(0, content.sizeBytes));
  }

  async keys(bucketName: string): Promise<readonly KeyInfo[]> {
    const found: KeyInfo[] = [];
    for (const [key, object] of this.#bucket(bucketName).objects.entriesFrom('')) {
      found.push({ key: fromBinary(key), sizeBytes: object.content.sizeBytes, etag: object.etag });
    }
    return found;
  }

  async takeRequests(): Promise<readonly RequestRecord[]> {
    if (!this.#service.log) throw new Error('The embedded S3 server was started without logsRequests');
    return this.#service.log.take();
  }

  async close(): Promise<void> {
    await this.#listener.close();
    this.#service.close();
  }

  #bucket(name: string): NonNullable<ReturnType<S3Service['store']['buckets']['get']>> {
    const bucket = this.#service.store.buckets.get(name);
    if (!bucket) throw new Error(`The embedded S3 server has no bucket "${name}"`);
    return bucket;
  }
}
