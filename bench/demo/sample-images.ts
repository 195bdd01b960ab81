/** A small company's registry: a base image, services built on it in several versions, one image for two platforms. */
import { createCipheriv, createHash } from 'node:crypto';
import { ImageStore, type StoreCounts } from './image-store.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const INDEX = 'application/vnd.oci.image.index.v1+json';
const CONFIG = 'application/vnd.oci.image.config.v1+json';
const LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip';

export interface Sample {
  readonly counts: StoreCounts;
  readonly repositories: number;
  readonly images: number;
  readonly tags: number;
}

/** About 60 MiB in about 200 objects; the same every time. */
export async function makeSampleRegistry(root: string): Promise<Sample> {
  const maker = new ImageMaker(new ImageStore(root));
  const base = [await maker.layer('debian', 19 * MIB), await maker.layer('certificates', 300 * KIB)];
  const runtime = [...base, await maker.layer('node', 13 * MIB)];
  await maker.image('platform/base', ['12'], base);
  for (const service of ['orders', 'payments', 'search']) {
    // The layer below the service's own changes with every other release.
    for (let release = 1; release <= 6; release += 1) {
      const dependencies = await maker.layer(`${service} modules ${Math.ceil(release / 2)}`, 1.4 * MIB);
      const code = await maker.layer(`${service} ${release}`, (40 + 25 * release) * KIB);
      const tags = [`1.${release}.0`, 'latest', ...(release === 4 ? ['stable'] : [])];
      await maker.image(`shop/${service}`, tags, [...runtime, dependencies, code]);
    }
  }
  await maker.index('tools/backup', ['2.3', 'latest'], {
    amd64: [await maker.layer('alpine amd64', 3 * MIB), await maker.layer('backup amd64', 5 * MIB)],
    arm64: [await maker.layer('alpine arm64', 3 * MIB), await maker.layer('backup arm64', 5 * MIB)],
  });
  await maker.unfinishedUpload('shop/search');
  return maker.sample;
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

class ImageMaker {
  readonly #store: ImageStore;
  readonly #repositories = new Set<string>();
  readonly #tags = new Set<string>();
  #images = 0;

  constructor(store: ImageStore) {
    this.#store = store;
  }

  get sample(): Sample {
    return {
      counts: this.#store.counts,
      repositories: this.#repositories.size,
      images: this.#images,
      tags: this.#tags.size,
    };
  }

  async layer(name: string, sizeBytes: number): Promise<Descriptor> {
    const size = Math.round(sizeBytes);
    return { mediaType: LAYER, digest: await this.#store.blob(bytesOf(name, size)), size };
  }

  /** Stores configuration, manifest and links, and moves the tags to the image. */
  async image(
    repository: string,
    tags: readonly string[],
    layers: readonly Descriptor[],
    architecture = 'amd64',
  ): Promise<Descriptor> {
    this.#images += 1;
    this.#repositories.add(repository);
    const diffIds = layers.map(({ digest }) => digest);
    const config = await this.#json(CONFIG, {
      architecture,
      os: 'linux',
      config: { Labels: { 'org.opencontainers.image.title': `${repository}:${tags[0] ?? architecture}` } },
      rootfs: { type: 'layers', diff_ids: diffIds },
    });
    for (const { digest } of [config, ...layers]) await this.#store.layerLink(repository, digest);
    return this.#manifest(repository, tags, MANIFEST, { config, layers });
  }

  /** One name for several platforms. */
  async index(
    repository: string,
    tags: readonly string[],
    platforms: Readonly<Record<string, readonly Descriptor[]>>,
  ): Promise<void> {
    const manifests: (Descriptor & { readonly platform: object })[] = [];
    for (const [architecture, layers] of Object.entries(platforms)) {
      const image = await this.image(repository, [], layers, architecture);
      manifests.push({ ...image, platform: { architecture, os: 'linux' } });
    }
    await this.#manifest(repository, tags, INDEX, { manifests });
  }

  async unfinishedUpload(repository: string): Promise<void> {
    await this.#store.unfinishedUpload(repository, bytesOf('half a layer', 700 * KIB));
  }

  async #manifest(
    repository: string,
    tags: readonly string[],
    mediaType: string,
    body: object,
  ): Promise<Descriptor> {
    const manifest = await this.#json(mediaType, { schemaVersion: 2, mediaType, ...body });
    await this.#store.revisionLink(repository, manifest.digest);
    for (const tag of tags) {
      this.#tags.add(`${repository}:${tag}`);
      await this.#store.tag(repository, tag, manifest.digest);
    }
    return manifest;
  }

  async #json(mediaType: string, value: object): Promise<Descriptor> {
    const content = Buffer.from(JSON.stringify(value));
    return { mediaType, digest: await this.#store.blob(content), size: content.length };
  }
}

/** Bytes that look as random as a compressed layer, and are the same for the same name. */
function bytesOf(name: string, sizeBytes: number): Buffer {
  const key = createHash('sha256').update(name).digest().subarray(0, 16);
  const cipher = createCipheriv('aes-128-ctr', key, Buffer.alloc(16));
  return cipher.update(Buffer.alloc(sizeBytes));
}
