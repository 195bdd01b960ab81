/** Servers, buckets and trees for the tests of docs/errors.md. */
import type { TestContext } from 'node:test';
import { type S3Server, type S3ServerOptions, startS3Server } from '../../bench/s3-server/s3-server.ts';
import { ACCESS_KEY, SECRET_KEY } from './error-tests.ts';
import { makeSmallTree, type SmallTree, writeSmallTree } from './small-tree.ts';
import { tempFolderFor } from './temp.ts';

export const TREE = makeSmallTree();
export const BUCKET = 'bucket';

/** A server of the test's own, with one empty bucket. */
export async function startServer(t: TestContext, options: S3ServerOptions = {}): Promise<S3Server> {
  const server = await startS3Server({
    buckets: [BUCKET],
    accessKeyId: ACCESS_KEY,
    secretAccessKey: SECRET_KEY,
    ...options,
  });
  t.after(() => server.close());
  return server;
}

export interface UrlChoices {
  readonly bucket?: string;
  readonly root?: string;
  /** Default: us-east-1. */
  readonly region?: string;
  readonly more?: string;
}

export function s3Url(endpoint: string, choices: UrlChoices = {}): string {
  const { bucket = BUCKET, root = '', region = 'us-east-1', more = '' } = choices;
  return `s3://${bucket}${root === '' ? '' : `/${root}`}?endpoint=${endpoint}&region=${region}${more}`;
}

/** A folder with a small registry in it, as a URL. */
export async function treeUrl(t: TestContext, tree: SmallTree = TREE): Promise<string> {
  const folder = await tempFolderFor(t, 'tree');
  await writeSmallTree(folder, tree);
  return `file://${folder}`;
}

export async function fillBucket(server: S3Server, tree: SmallTree = TREE, root = ''): Promise<void> {
  const prefix = root === '' ? '' : `${root}/`;
  await server.put(
    BUCKET,
    [...tree.objects].map(([key, body]) => ({ key: prefix + key, body })),
  );
}

/** Everything of the tree is in the bucket, with the right bytes. */
export async function holdsTree(server: S3Server, root = '', tree: SmallTree = TREE): Promise<boolean> {
  const prefix = root === '' ? '' : `${root}/`;
  for (const [key, body] of tree.objects) {
    const found = await server.get(BUCKET, prefix + key);
    if (found === undefined || !body.equals(found)) return false;
  }
  return true;
}
