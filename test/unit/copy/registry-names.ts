/** Paths and contents of a registry, for tests. */
import { hash } from 'node:crypto';

const ROOT = 'docker/registry/v2/';

export function sha256(content: Uint8Array | string): string {
  return hash('sha256', content, 'hex');
}

export function blobPath(content: Uint8Array | string): string {
  return blobPathOf(sha256(content));
}

export function blobPathOf(hex: string): string {
  return `${ROOT}blobs/sha256/${hex.slice(0, 2)}/${hex}/data`;
}

export function linkText(content: Uint8Array | string): string {
  return `sha256:${sha256(content)}`;
}

export function layerLinkPath(repository: string, content: Uint8Array | string): string {
  return `${ROOT}repositories/${repository}/_layers/sha256/${sha256(content)}/link`;
}

export function revisionLinkPath(repository: string, content: Uint8Array | string): string {
  return `${ROOT}repositories/${repository}/_manifests/revisions/sha256/${sha256(content)}/link`;
}

export function tagPath(repository: string, tag: string): string {
  return `${ROOT}repositories/${repository}/_manifests/tags/${tag}/current/link`;
}

export function otherPath(name: string): string {
  return `${ROOT}repositories/${name}`;
}
