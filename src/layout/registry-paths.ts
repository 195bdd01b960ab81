/**
 * Classes of the paths that every registry layout shares (distribution's `paths.go` is the authority for the names):
 *
 *     docker/registry/v2/
 *       blobs/<algorithm>/<first two digits>/<hex>/data            blob    immutable   digest in the path
 *       repositories/<name, one or more components>/
 *         _layers/<algorithm>/<hex>/link                           link    immutable   spells the digest of its path
 *         _manifests/revisions/<algorithm>/<hex>/link              link    immutable   spells the digest of its path
 *         _manifests/tags/<tag>/index/<algorithm>/<hex>/link       link    immutable   spells the digest of its path
 *         _manifests/tags/<tag>/current/link                       tag     mutable     spells some digest
 *         _uploads/…                                               left out (see left-out.ts)
 *       anything else                                              other   mutable
 *
 * Whatever does not fit its pattern exactly is `other`: copied as it is, compared by content, never trusted by name.
 */
import { makeDigest } from '../core/digest.ts';
import type { Classified } from './layout.ts';

export const REGISTRY_ROOT = 'docker/registry/v2/';
export const BLOBS = `${REGISTRY_ROOT}blobs/`;
export const REPOSITORIES = `${REGISTRY_ROOT}repositories/`;

export const OTHER: Classified = { objectClass: 'other', isImmutable: false, isLink: false };

// The grammar of OCI digests: an algorithm with separators, and for the algorithms not known here at least 32 digits.
const ALGORITHM = '[a-z0-9]+(?:[+._-][a-z0-9]+)*';
const BLOB = new RegExp(`^(${ALGORITHM})/([0-9a-f]{2})/(\\2[0-9a-f]{30,})/data$`);
const IN_REPOSITORY = /^(.+?)\/(_layers|_manifests|_uploads)\/(.*)$/s;
const DIGEST_LINK = new RegExp(
  `^(?:_layers/|_manifests/revisions/|_manifests/tags/[^/]+/index/)(${ALGORITHM})/([0-9a-f]{32,})/link$`,
);
const TAG_LINK = /^_manifests\/tags\/[^/]+\/current\/link$/;

/** Classes of every path of a distribution tree. */
export function classifyRegistryPath(path: string): Classified {
  if (path.startsWith(BLOBS)) return classifyBlob(path.slice(BLOBS.length));
  if (path.startsWith(REPOSITORIES)) return classifyInRepository(path.slice(REPOSITORIES.length));
  return OTHER;
}

function classifyBlob(path: string): Classified {
  const [, algorithm, , hex] = BLOB.exec(path) ?? [];
  if (algorithm === undefined || hex === undefined) return OTHER;
  if (!isKnown(algorithm)) return { objectClass: 'blob', isImmutable: true, isLink: false };
  const contentDigest = makeDigest(algorithm, hex);
  return contentDigest ? { objectClass: 'blob', isImmutable: true, contentDigest, isLink: false } : OTHER;
}

function classifyInRepository(path: string): Classified {
  const [, repository, folder, rest] = IN_REPOSITORY.exec(path) ?? [];
  if (repository === undefined) return OTHER;
  const below = `${folder}/${rest}`;
  if (TAG_LINK.test(below)) return { objectClass: 'tag', isImmutable: false, isLink: true, repository };
  const [, algorithm, hex] = DIGEST_LINK.exec(below) ?? [];
  if (algorithm === undefined || hex === undefined) return { ...OTHER, repository };
  // A digest that cannot be parsed here cannot be checked here either, so such a link is not called one.
  if (!isKnown(algorithm)) return { objectClass: 'link', isImmutable: true, isLink: false, repository };
  const linkDigest = makeDigest(algorithm, hex);
  if (!linkDigest) return { ...OTHER, repository };
  return { objectClass: 'link', isImmutable: true, linkDigest, isLink: true, repository };
}

function isKnown(algorithm: string): boolean {
  return algorithm === 'sha256' || algorithm === 'sha512';
}
