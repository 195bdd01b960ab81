/** Container images made offline from a seed, as one OCI layout folder from which skopeo pushes. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { seededBytes, sha256Hex } from './seeded.ts';

export interface TestImage {
  readonly repository: string;
  readonly tag: string;
  /** `sha256:…` of the manifest, or of the index for images of two platforms. */
  readonly digest: string;
  readonly mediaType: string;
}

export interface ImageSet {
  /** The OCI layout; image `i` has the name `nameInLayout(images[i])` in it. */
  readonly directory: string;
  readonly images: readonly TestImage[];
}

export interface ImageOptions {
  /** An empty or missing folder. */
  readonly directory: string;
  readonly seed: string;
  /** Default: five names that sort differently by bytes and by folders, one of them inside another. */
  readonly repositories?: readonly string[];
  /** Default 4. */
  readonly imagesPerRepository?: number;
  /** Size of each layer before compression, lowest layer first; the content does not shrink. */
  readonly layerBytes?: readonly number[];
  /** Size of the top layer of the first image; default 20 MiB, so that it takes several parts. */
  readonly largestLayerBytes?: number;
}

export const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json';
const INDEX_TYPE = 'application/vnd.oci.image.index.v1+json';

const REPOSITORIES = ['team/app', 'team/app/nested', 'team-b/app', 'team.c/app', 'team0/app'];
const LAYER_BYTES = [200, 20_000, 300_000, 1_500_000];
const LARGEST_LAYER_BYTES = 20 * 1024 * 1024;
/** So many of the lowest layers come from a pool that all repositories share. */
const SHARED_LAYERS = 2;
const POOLS = 3;
/** Every so many-th image is an index of two platforms. */
const INDEX_EVERY = 4;

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

interface Layer extends Descriptor {
  /** Digest of the layer before compression, as the image's configuration names it. */
  readonly diffId: string;
}

export function nameInLayout(image: Pick<TestImage, 'repository' | 'tag'>): string {
  return `${image.repository.replaceAll('/', '_')}_${image.tag}`;
}

export async function buildImages(options: ImageOptions): Promise<ImageSet> {
  const repositories = options.repositories ?? REPOSITORIES;
  const builder = new ImageBuilder(options);
  await builder.start();
  const images: TestImage[] = [];
  const entries: object[] = [];
  for (let index = 0; index < repositories.length * (options.imagesPerRepository ?? 4); index += 1) {
    const repository = repositories[index % repositories.length] ?? '';
    const tag = `v${Math.floor(index / repositories.length)}.0`;
    const made = await builder.image(index);
    images.push({ repository, tag, digest: made.digest, mediaType: made.mediaType });
    const name = nameInLayout({ repository, tag });
    entries.push({ ...made, annotations: { 'org.opencontainers.image.ref.name': name } });
  }
  await builder.finish(entries);
  return { directory: options.directory, images };
}

class ImageBuilder {
  readonly #options: ImageOptions;
  readonly #layers = new Map<string, Promise<Layer>>();

  constructor(options: ImageOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    await mkdir(join(this.#options.directory, 'blobs', 'sha256'), { recursive: true });
  }

  async finish(manifests: readonly object[]): Promise<void> {
    const { directory } = this.#options;
    await writeFile(join(directory, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
    await writeFile(join(directory, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests }));
  }

  async image(index: number): Promise<Descriptor> {
    if (index % INDEX_EVERY !== INDEX_EVERY - 1) return this.#manifest(index, 'amd64');
    const manifests: object[] = [];
    for (const architecture of ['amd64', 'arm64']) {
      const manifest = await this.#manifest(index, architecture);
      manifests.push({ ...manifest, platform: { architecture, os: 'linux' } });
    }
    return this.#json(INDEX_TYPE, { schemaVersion: 2, mediaType: INDEX_TYPE, manifests });
  }

  async #manifest(index: number, architecture: string): Promise<Descriptor> {
    const layers: Layer[] = [];
    for (const [level, sizeBytes] of this.#layerBytes(index).entries()) {
      const owner = level < SHARED_LAYERS ? `pool-${index % POOLS}` : `image-${index}`;
      layers.push(await this.#layer(`${owner}-${architecture}-${level}`, sizeBytes));
    }
    const config = await this.#json('application/vnd.oci.image.config.v1+json', {
      created: '2024-01-01T00:00:00Z',
      architecture,
      os: 'linux',
      config: { Cmd: ['/app'], Labels: { number: String(index) } },
      rootfs: { type: 'layers', diff_ids: layers.map((layer) => layer.diffId) },
    });
    const descriptors = layers.map(({ mediaType, digest, size }) => ({ mediaType, digest, size }));
    return this.#json(MANIFEST_TYPE, {
      schemaVersion: 2,
      mediaType: MANIFEST_TYPE,
      config,
      layers: descriptors,
    });
  }

  #layerBytes(index: number): readonly number[] {
    const sizes = this.#options.layerBytes ?? LAYER_BYTES;
    return index === 0 ? [...sizes, this.#options.largestLayerBytes ?? LARGEST_LAYER_BYTES] : sizes;
  }

  #layer(name: string, sizeBytes: number): Promise<Layer> {
    const known = this.#layers.get(name);
    if (known !== undefined) return known;
    const made = this.#makeLayer(name, sizeBytes);
    this.#layers.set(name, made);
    return made;
  }

  async #makeLayer(name: string, sizeBytes: number): Promise<Layer> {
    const archive = tarOf(name, seededBytes(this.#options.seed, name, sizeBytes));
    const packed = gzipSync(archive, { level: 1 });
    const blob = await this.#put('application/vnd.oci.image.layer.v1.tar+gzip', packed);
    return { ...blob, diffId: `sha256:${sha256Hex(archive)}` };
  }

  #json(mediaType: string, value: object): Promise<Descriptor> {
    return this.#put(mediaType, Buffer.from(JSON.stringify(value)));
  }

  async #put(mediaType: string, bytes: Buffer): Promise<Descriptor> {
    const hex = sha256Hex(bytes);
    await writeFile(join(this.#options.directory, 'blobs', 'sha256', hex), bytes);
    return { mediaType, digest: `sha256:${hex}`, size: bytes.length };
  }
}

const TAR_BLOCK_BYTES = 512;

/** A POSIX (ustar) archive with one file. */
function tarOf(name: string, content: Buffer): Buffer {
  const header = Buffer.alloc(TAR_BLOCK_BYTES);
  const octal = (value: number, digits: number): string => `${value.toString(8).padStart(digits, '0')}\0`;
  header.write(name, 0);
  header.write(octal(0o644, 7), 100);
  header.write(octal(0, 7), 108);
  header.write(octal(0, 7), 116);
  header.write(octal(content.length, 11), 124);
  header.write(octal(1_700_000_000, 11), 136);
  header.write('0', 156);
  header.write('ustar\u000000', 257);
  // The checksum counts its own eight bytes as blanks.
  header.fill(' ', 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  const padding = Buffer.alloc((TAR_BLOCK_BYTES - (content.length % TAR_BLOCK_BYTES)) % TAR_BLOCK_BYTES);
  return Buffer.concat([header, content, padding, Buffer.alloc(2 * TAR_BLOCK_BYTES)]);
}
