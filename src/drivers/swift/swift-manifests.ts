/** Objects that are answered by the service as the sum of their parts: none is taken for whole that is known not to be. */
import type { HttpResponse } from '../../transport/http-types.ts';
import type { CallContext, ListPage, ListQuery, ObjectInfo } from '../driver.ts';
import { type HttpCall, malformed } from '../http/call.ts';
import { partsPlaceOf, whyNotWhole } from './swift-parts.ts';

/** Of an object that is read range by range, or after its size was asked, the parts are listed once. */
const SEEN_MAX = 1_000;

/** Everything that a container holds below a prefix. */
export type ListContainer = (
  ctx: CallContext,
  container: string,
  query: ListQuery,
) => AsyncIterable<ListPage>;

/** Listings may lag behind; the registry's own driver waits this long for them. */
export const LISTING_LAG_MS_MAX = 15_000;

export class SwiftManifests {
  readonly #list: ListContainer;
  /** What was found whole: the ETag is made of the parts'. */
  readonly #seen = new Map<string, string>();

  constructor(list: ListContainer) {
    this.#list = list;
  }

  /**
   * @param saidBytes as the answer states it; the listing's sum where it does not.
   * @returns the size of the whole object.
   * @throws StorageError of kind `corrupt`, transient: a listing may be late.
   */
  async sizeOf(
    ctx: CallContext,
    call: HttpCall & { readonly key: string },
    { headers }: HttpResponse,
    saidBytes: number | undefined,
  ): Promise<number | undefined> {
    const manifest = headers.get('x-object-manifest');
    if (manifest === undefined) return saidBytes;
    const mark = `${headers.get('etag')} ${saidBytes} ${manifest}`;
    if (saidBytes !== undefined && this.#seen.get(call.key) === mark) return saidBytes;
    const place = partsPlaceOf(manifest);
    if (!place) throw malformed(call, 'its X-Object-Manifest names no parts');
    const parts: ObjectInfo[] = [];
    for await (const { objects } of this.#list(ctx, place.container, { prefix: place.prefix }))
      parts.push(...objects);
    const why = whyNotWhole(parts, place.prefix, saidBytes, isOld(headers));
    if (why !== undefined) throw malformed(call, why);
    this.#remember(call.key, mark);
    return saidBytes ?? parts.reduce((bytes, { sizeBytes }) => bytes + sizeBytes, 0);
  }

  #remember(key: string, mark: string): void {
    this.#seen.delete(key);
    this.#seen.set(key, mark);
    const [oldest] = this.#seen.keys();
    if (this.#seen.size > SEEN_MAX && oldest !== undefined) this.#seen.delete(oldest);
  }
}

/** By the server's clock alone; of an answer that does not tell, nothing is known. */
function isOld(headers: HttpResponse['headers']): boolean {
  const ageMs = Date.parse(headers.get('date') ?? '') - Date.parse(headers.get('last-modified') ?? '');
  return ageMs > LISTING_LAG_MS_MAX;
}
