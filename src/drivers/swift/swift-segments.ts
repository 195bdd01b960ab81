/**
 * Where the parts of large objects lie, as the registry's own driver puts them: `<prefix>/segments/<3 hex>/<37 hex>/` and
 * a number of 16 digits, in the container itself. Beside them, `<prefix>/blobferry-uploads/<40 hex>` holds the key of
 * each upload that is not complete yet, so that another run finds it.
 */
import { createHash, randomBytes } from 'node:crypto';
import type { SwiftSpec } from '../spec.ts';
import { partsPlaceOf } from './swift-parts.ts';

const NUMBER_DIGITS = 16;
const UPLOAD_ID = /^[0-9a-f]{40}$/;

export class SegmentNames {
  readonly #root: string;
  readonly #container: string;

  constructor(spec: SwiftSpec) {
    const prefix = spec.prefix.replace(/^\/+|\/+$/g, '');
    this.#root = prefix === '' ? '' : `${prefix}/`;
    this.#container = spec.container;
  }

  /** A new one each time: a name that was used before may still hold parts. */
  newId(key: string): string {
    return createHash('sha1').update(key).update(randomBytes(20)).digest('hex');
  }

  isId(id: string): boolean {
    return UPLOAD_ID.test(id);
  }

  /** What the names of its parts begin with, and nothing else does. */
  prefixOf(id: string): string {
    return `${this.#root}segments/${id.slice(0, 3)}/${id.slice(3)}/`;
  }

  partOf(id: string, number: number): string {
    return this.prefixOf(id) + String(number).padStart(NUMBER_DIGITS, '0');
  }

  /** The number of a part; undefined for a name that is none of this upload's. */
  numberIn(id: string, name: string): number | undefined {
    const digits = name.slice(this.prefixOf(id).length);
    return name.startsWith(this.prefixOf(id)) && /^\d{16}$/.test(digits) ? Number(digits) : undefined;
  }

  /** Parts and marks are no content: no listing of the container shows them. */
  hides(name: string): boolean {
    return name.startsWith(`${this.#root}segments/`) || name.startsWith(this.markers);
  }

  get markers(): string {
    return `${this.#root}blobferry-uploads/`;
  }

  markerOf(id: string): string {
    return this.markers + id;
  }

  idOfMarker(name: string): string | undefined {
    const id = name.slice(this.markers.length);
    return name.startsWith(this.markers) && this.isId(id) ? id : undefined;
  }

  /** The value of X-Object-Manifest. */
  manifestOf(id: string): string {
    return `${encodeURIComponent(this.#container)}/${encodePath(this.prefixOf(id))}`;
  }

  /** What a manifest in this container names the parts by; undefined where they lie in another one. */
  partsIn(manifest: string): string | undefined {
    const place = partsPlaceOf(manifest);
    return place?.container === this.#container ? place.prefix : undefined;
  }
}

function encodePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}
