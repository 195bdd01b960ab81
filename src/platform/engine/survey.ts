/** What a listing of the whole source shows: how much there is, what is damaged by its size alone, which rows lack a blob. */

import { type findArchived, selfTieringText } from '../../coordinator/archived.ts';
import { externallySorted, ListingOutOfOrder, orderChecked } from '../../copy/sorted-listing.ts';
import type { CallContext, ListPage, ObjectInfo, StorageDriver } from '../../drivers/driver.ts';
import type { DigestIndex } from '../../layout/digests/digest-index.ts';
import { RowsAlong } from '../../layout/digests/rows-along.ts';
import type { Layout } from '../../layout/layout.ts';
import { blobIdIn } from '../../layout/msr.ts';
import type { DigestFindings, SurveyReport } from '../engine-port.ts';
import { NamedCount, NOTHING } from './named.ts';
import type { WantedBlobs } from './wanted-blobs.ts';

/** sha256 and sha512 of nothing. */
const OF_NOTHING = [
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  'cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e',
];
/** `sha256:` and 64 digits, `sha512:` and 128. */
const LINK_BYTES = [71, 135];

type Counts = Pick<SurveyReport, 'objects' | 'bytes' | 'damaged'> & { readonly digests?: DigestFindings };

export interface SurveyInput {
  readonly source: StorageDriver;
  readonly keyPrefix: string;
  readonly layout: Layout;
  readonly digests?: DigestIndex | undefined;
  readonly wanted?: WantedBlobs | undefined;
  readonly onListed: (objects: number) => void;
}

export async function surveyListing(ctx: CallContext, input: SurveyInput): Promise<Counts> {
  const isUnsorted = input.source.facts.listOrder === 'unsorted';
  try {
    return await new Survey(input).run(ctx, isUnsorted);
  } catch (error) {
    if (!(error instanceof ListingOutOfOrder)) throw error;
    return await new Survey(input).run(ctx, true);
  }
}

class Survey {
  readonly #input: SurveyInput;
  readonly #along: RowsAlong | undefined;
  readonly #damaged = new NamedCount();
  readonly #lacking = new NamedCount();
  readonly #unknown = new NamedCount();
  #objects = 0;
  #bytes = 0;

  constructor(input: SurveyInput) {
    this.#input = input;
    this.#along = input.digests && new RowsAlong(input.digests);
  }

  async run(ctx: CallContext, isSorting: boolean): Promise<Counts> {
    const { source, keyPrefix, layout, digests, onListed } = this.#input;
    const prune = (folder: string) => layout.staysOutOf(folder.slice(keyPrefix.length));
    const pages = source.list(ctx, { prefix: keyPrefix, prune });
    for await (const { objects } of this.#ordered(pages, isSorting)) {
      ctx.signal.throwIfAborted();
      for (const object of objects) await this.#look(object);
      onListed(this.#objects);
    }
    if (!this.#along || !digests) return this.#counts();
    for await (const ids of this.#along.rest()) for (const id of ids) this.#lacking.add(id);
    const found = { rows: digests.records, lacking: this.#lacking.all(), unknown: this.#unknown.all() };
    return { ...this.#counts(), digests: found };
  }

  /** Only rows need an order. */
  #ordered(pages: AsyncIterable<ListPage>, isSorting: boolean): AsyncIterable<ListPage> {
    if (!this.#along) return pages;
    return isSorting ? externallySorted(pages) : orderChecked(pages);
  }

  #counts(): Counts {
    return { objects: this.#objects, bytes: this.#bytes, damaged: this.#damaged.all() };
  }

  async #look(object: ObjectInfo): Promise<void> {
    const { keyPrefix, layout, wanted } = this.#input;
    const { sizeBytes, isSizeUnsure, isPlaceholder } = object;
    const path = object.key.slice(keyPrefix.length);
    if (layout.leavesOut(path, isSizeUnsure ? undefined : sizeBytes, isPlaceholder)) return;
    this.#objects += 1;
    this.#bytes += sizeBytes;
    wanted?.note(object, path, layout);
    const wrong = isSizeUnsure ? undefined : damageOf(layout, path, sizeBytes);
    if (wrong) this.#damaged.add(`${path}: ${wrong}`);
    if (!this.#along || blobIdIn(path) === undefined) return;
    const { sha256, passed } = await this.#along.find(path);
    for (const id of passed) this.#lacking.add(id);
    if (sha256 === undefined) this.#unknown.add(blobIdIn(path) ?? path);
    else if (sizeBytes === 0 && !isSizeUnsure && !OF_NOTHING.includes(sha256))
      this.#damaged.add(`${path}: it is empty, and the metadata backup says sha256:${sha256}`);
  }
}

function damageOf(layout: Layout, path: string, sizeBytes: number): string | undefined {
  const { contentDigest, isLink } = layout.classify(path);
  if (contentDigest && sizeBytes === 0 && !OF_NOTHING.includes(contentDigest.hex)) return 'it is empty';
  if (!isLink || LINK_BYTES.includes(sizeBytes)) return undefined;
  return sizeBytes === 0 ? 'it is empty, a link names a digest' : `it has ${sizeBytes} bytes, no digest has`;
}

/** @param found undefined where the storage has no archives. */
export function archivedFindings(
  found: Awaited<ReturnType<typeof findArchived>>,
): Pick<SurveyReport, 'archived' | 'maybeArchived'> {
  if (!found) return { archived: NOTHING };
  const archived = { count: found.count, first: found.named.map(({ path, tier }) => `${path} (${tier})`) };
  const maybe = selfTieringText(found);
  return { archived, ...(maybe === undefined ? {} : { maybeArchived: maybe }) };
}
