/**
 * Pulls as a client of the registry does: manifests and blobs through `/v2/`, with a token where one is asked for, over
 * redirects to the storage's own host. Whatever comes is hashed, and believed only where it is what its digest says.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { jsonOf } from '../../json-of.ts';
import type { MsrConnection } from '../msr-connection.ts';
import { bearerFor } from '../registry-token.ts';
import { type GetAccess, type GetAnswer, httpGet, PullError } from './http-get.ts';

export interface PulledManifest {
  /** `sha256:…` of what came. */
  readonly digest: string;
  /** Manifests that an index names. */
  readonly children: readonly string[];
  /** Digests of configuration and layers; those that lie elsewhere by their nature are left out. */
  readonly blobs: readonly string[];
  /** Sizes of those, where the manifest says them. */
  readonly sizes: ReadonlyMap<string, number>;
}

const MANIFEST_TYPES = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
];
/** Of manifests and lists; distribution takes manifests of 4 MiB. */
const TEXT_BYTES_MAX = 16 * 1024 * 1024;
const REDIRECTS_MAX = 5;

const DESCRIPTOR = z.object({
  digest: z.string().regex(/^sha256:[0-9a-f]{64}$/),
  size: z.number().int().nonnegative().nullish(),
  urls: z.array(z.string()).nullish(),
});
const MANIFEST = z.object({
  config: DESCRIPTOR.nullish(),
  layers: z.array(DESCRIPTOR).nullish(),
  manifests: z.array(DESCRIPTOR).nullish(),
});

export class RegistryPuller {
  readonly #msr: MsrConnection;
  readonly #access: GetAccess;
  readonly #bearers = new Map<string, string>();
  /** Hosts that clients were sent to. */
  readonly redirectedTo = new Set<string>();

  constructor(msr: MsrConnection, access: GetAccess) {
    this.#msr = msr;
    this.#access = access;
  }

  /** @param reference a tag or a digest. @throws PullError */
  async manifest(repository: string, reference: string, signal: AbortSignal): Promise<PulledManifest> {
    const text = new BoundedText();
    const path = `manifests/${encodeURIComponent(reference).replace('%3A', ':')}`;
    const headers = { accept: MANIFEST_TYPES.join(', ') };
    const hex = await this.#get(repository, path, headers, signal, (piece) => text.add(piece));
    const digest = `sha256:${hex}`;
    if (reference.startsWith('sha256:') && reference !== digest)
      throw this.#wrong(repository, reference, digest);
    const parsed = MANIFEST.safeParse(text.json());
    if (!parsed.success) throw this.#error(`the manifest ${repository}:${reference} cannot be read`);
    const { config, layers, manifests } = parsed.data;
    const blobs = [...(config ? [config] : []), ...(layers ?? [])].filter(({ urls }) => !urls?.length);
    return {
      digest,
      children: (manifests ?? []).map((child) => child.digest),
      blobs: blobs.map((blob) => blob.digest),
      sizes: new Map(blobs.flatMap(({ digest: of, size }) => (typeof size === 'number' ? [[of, size]] : []))),
    };
  }

  /** Names of repositories, of which the registry lists no more than so many at once. @throws PullError */
  async repositories(most: number, signal: AbortSignal): Promise<readonly string[]> {
    const text = new BoundedText();
    const place = { path: `/v2/_catalog?n=${most}`, of: '_catalog', what: 'the list of repositories' };
    await this.#getPath(place, {}, signal, (piece) => text.add(piece));
    const list = z.object({ repositories: z.array(z.string()).nullish() });
    return list.safeParse(text.json()).data?.repositories ?? [];
  }

  /** Tags of a repository. @throws PullError */
  async tags(repository: string, signal: AbortSignal): Promise<readonly string[]> {
    const text = new BoundedText();
    await this.#get(repository, 'tags/list', {}, signal, (piece) => text.add(piece));
    const list = z.object({ tags: z.array(z.string()).nullish() }).safeParse(text.json());
    return list.data?.tags ?? [];
  }

  /** Does the registry list it? A repository that is not there has none. */
  async hasTag(repository: string, tag: string, signal: AbortSignal): Promise<boolean> {
    try {
      return (await this.tags(repository, signal)).includes(tag);
    } catch (error) {
      if (error instanceof PullError && error.status === 404) return false;
      throw error;
    }
  }

  /** @returns its size. @throws PullError where it does not come, or is something else. */
  async blob(repository: string, digest: string, signal: AbortSignal): Promise<number> {
    let bytes = 0;
    const hex = await this.#get(repository, `blobs/${digest}`, {}, signal, (piece) => {
      bytes += piece.length;
    });
    if (`sha256:${hex}` !== digest) throw this.#wrong(repository, digest, `sha256:${hex}`);
    return bytes;
  }

  /** @returns the sha256 of what came, in hex. */
  async #get(
    repository: string,
    path: string,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
    onPiece: (piece: Buffer) => void,
  ): Promise<string> {
    const name = repository.split('/').map(encodeURIComponent).join('/');
    const place = { path: `/v2/${name}/${path}`, of: repository, what: `${repository} ${path}` };
    return await this.#getPath(place, headers, signal, onPiece);
  }

  /** @param place `of`: whatever has a token of its own. */
  async #getPath(
    { path, of, what }: { readonly path: string; readonly of: string; readonly what: string },
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
    onPiece: (piece: Buffer) => void,
  ): Promise<string> {
    const first = new URL(path, this.#msr.name);
    for (const isLast of [false, true]) {
      const hash = createHash('sha256');
      const bearer = this.#bearers.get(of);
      const authorization: Record<string, string> = bearer ? { authorization: `Bearer ${bearer}` } : {};
      const answer = await this.#follow(first, { ...headers, ...authorization }, signal, (piece) => {
        hash.update(piece);
        onPiece(piece);
      });
      if (answer.status === 200) return hash.digest('hex');
      const token =
        answer.status === 401 && !isLast
          ? await bearerFor(this.#msr, signal, String(answer.headers['www-authenticate'] ?? ''))
          : undefined;
      if (!token) throw this.#error(`it answered ${answer.status} for ${what}`, answer.status);
      this.#bearers.set(of, token.bearer);
    }
    throw this.#error(`it takes no token for ${what}`);
  }

  /** The token goes to the registry alone. */
  async #follow(
    first: URL,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
    onPiece: (piece: Buffer) => void,
  ): Promise<GetAnswer> {
    let url = first;
    for (let redirects = 0; redirects <= REDIRECTS_MAX; redirects += 1) {
      const { authorization: _, ...plain } = headers;
      const isOwn = url.origin === first.origin;
      const answer = await httpGet(url, isOwn ? headers : plain, this.#access, signal, onPiece);
      const next = [301, 302, 303, 307, 308].includes(answer.status)
        ? URL.parse(answer.headers.location ?? '', url)
        : undefined;
      if (!next) {
        if (isOwn || answer.status === 200) return answer;
        throw new PullError(
          `${url.origin}, where the registry sends clients to, answered ${answer.status}`,
          url.origin,
        );
      }
      url = next;
      if (url.origin !== first.origin) this.redirectedTo.add(url.origin);
    }
    throw this.#error('it redirects again and again');
  }

  #wrong(repository: string, expected: string, found: string): PullError {
    return this.#error(`what came for ${repository}@${expected} hashes to ${found}`);
  }

  #error(what: string, status?: number): PullError {
    const more = status === undefined ? {} : { status };
    return new PullError(`${this.#msr.name}: ${what}`, this.#msr.name, more);
  }
}

/** What comes beyond its bound is forgotten, and then it is no JSON any more. */
class BoundedText {
  readonly #pieces: Buffer[] = [];
  #bytes = 0;

  add(piece: Buffer): void {
    this.#bytes += piece.length;
    if (this.#bytes <= TEXT_BYTES_MAX) this.#pieces.push(piece);
  }

  json(): unknown {
    return jsonOf(Buffer.concat(this.#pieces));
  }
}
