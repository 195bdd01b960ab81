/** Pulls everything a registry holds, as its users would, and believes nothing it has not hashed. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import pLimit from 'p-limit';
import type { TestImage } from './images.ts';
import { mustRun, runCommand, tail } from './process.ts';
import { listRepositories, listTags } from './registry-api.ts';
import { makeTempFolder } from './temp.ts';
import { hashFile } from './tree.ts';

export interface PullReport {
  /** Images that came whole, by digest and by tag. */
  readonly images: number;
  /** Files that were hashed. */
  readonly files: number;
  /** One sentence each; empty when everything is as it should be. */
  readonly problems: readonly string[];
}

const PULLS_AT_ONCE = 3;

/**
 * The registry must list exactly the repositories and tags of `images`, and serve each image by digest and by tag:
 * every file hashes to its own name, no layer, configuration or platform is missing.
 */
export async function pullAll(host: string, images: readonly TestImage[]): Promise<PullReport> {
  const limit = pLimit(PULLS_AT_ONCE);
  const references = images.flatMap((image) => [
    { image, reference: `${image.repository}@${image.digest}` },
    { image, reference: `${image.repository}:${image.tag}` },
  ]);
  const pulls = await Promise.all(
    references.map(({ image, reference }) => limit(() => pullOne(host, reference, image.digest))),
  );
  const failed = new Set(
    pulls.flatMap((pull, at) => (pull.problems.length > 0 ? [references[at]?.image] : [])),
  );
  return {
    images: images.length - failed.size,
    files: pulls.reduce((sum, pull) => sum + pull.files, 0),
    problems: [...(await compareNames(host, images)), ...pulls.flatMap((pull) => pull.problems)],
  };
}

/** Does the registry say that it does not have this image? Any other answer is an error. */
export async function isUnknown(host: string, reference: string): Promise<boolean> {
  const args = ['inspect', '--raw', '--tls-verify=false', `docker://${host}/${reference}`];
  const { code, stderr } = await runCommand('skopeo', ['--insecure-policy', ...args]);
  if (code === 0) return false;
  if (/manifest unknown|name unknown/i.test(stderr)) return true;
  throw new Error(`skopeo cannot tell whether ${reference} is there: ${tail(stderr)}`);
}

async function compareNames(host: string, images: readonly TestImage[]): Promise<readonly string[]> {
  const expected = new Set(images.map(({ repository, tag }) => `${repository}:${tag}`));
  const actual = new Set<string>();
  for (const repository of await listRepositories(host)) {
    for (const tag of await listTags(host, repository)) actual.add(`${repository}:${tag}`);
  }
  return [
    ...[...expected].filter((name) => !actual.has(name)).map((name) => `${name} is not listed`),
    ...[...actual].filter((name) => !expected.has(name)).map((name) => `${name} should not be listed`),
  ];
}

async function pullOne(
  host: string,
  reference: string,
  digest: string,
): Promise<{ readonly files: number; readonly problems: readonly string[] }> {
  const folder = await makeTempFolder('pull');
  try {
    const from = ['--src-tls-verify=false', `docker://${host}/${reference}`];
    await mustRun('skopeo', ['--insecure-policy', 'copy', '-q', '--all', ...from, `dir:${folder.path}`]);
    const { files, problems } = await checkPulled(folder.path, digest);
    return { files, problems: problems.map((problem) => `${reference}: ${problem}`) };
  } catch (error) {
    return {
      files: 0,
      problems: [`${reference}: ${error instanceof Error ? error.message : String(error)}`],
    };
  } finally {
    await folder.remove();
  }
}

/**
 * A folder as skopeo writes it: `manifest.json`, `<hex>.manifest.json` for each platform of an index, `<hex>` for
 * each configuration and layer, and `version`.
 */
export async function checkPulled(
  folder: string,
  digest: string,
): Promise<{ readonly files: number; readonly problems: readonly string[] }> {
  const problems: string[] = [];
  const held = new Set<string>();
  for (const name of await readdir(folder)) {
    if (name === 'version') continue;
    const { sha256 } = await hashFile(join(folder, name));
    const named =
      name === 'manifest.json' ? digest.slice('sha256:'.length) : name.replace(/\.manifest\.json$/, '');
    if (sha256 === named) held.add(name);
    else problems.push(`${name} hashes to ${sha256} instead of ${named}`);
  }
  for (const name of await namesNeeded(folder, 'manifest.json')) {
    if (!held.has(name)) problems.push(`${name} is missing or damaged`);
  }
  return { files: held.size, problems };
}

interface Manifest {
  readonly config?: { readonly digest: string };
  readonly layers?: readonly { readonly digest: string }[];
  readonly manifests?: readonly { readonly digest: string }[];
}

async function namesNeeded(folder: string, name: string): Promise<readonly string[]> {
  const manifest = JSON.parse(await readFile(join(folder, name), 'utf8')) as Manifest;
  const hexOf = (item: { readonly digest: string }): string => item.digest.slice('sha256:'.length);
  const blobs = [...(manifest.config ? [manifest.config] : []), ...(manifest.layers ?? [])].map(hexOf);
  const platforms: string[] = [];
  for (const item of manifest.manifests ?? []) {
    const child = `${hexOf(item)}.manifest.json`;
    platforms.push(child, ...(await namesNeeded(folder, child)));
  }
  return [name, ...blobs, ...platforms];
}
