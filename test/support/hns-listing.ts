/**
 * What List Blobs answers for an account with a hierarchical namespace
 * (https://learn.microsoft.com/rest/api/storageservices/list-blobs).
 */
import type { BlobItem } from '@azure/storage-blob';

export interface HnsEntry {
  readonly name: string;
  /** Absent for a folder. */
  readonly properties?: BlobItem['properties'];
}

const PAGE_MAX = 5_000;

/** @param entries all that the container has, in the order of its namespace. */
export function listingXml(entries: readonly HnsEntry[], query: URLSearchParams): string {
  const prefix = query.get('prefix') ?? '';
  const from = Number(query.get('marker') ?? 0);
  const wanted = entries.filter(({ name }) => name.startsWith(prefix));
  const shown = query.get('delimiter') === '/' ? groupedXml(wanted, prefix) : wanted.map(blobXml);
  const to = from + Number(query.get('maxresults') ?? PAGE_MAX);
  const next = to < shown.length ? String(to) : '';
  return `<?xml version="1.0" encoding="utf-8"?><EnumerationResults><Prefix>${escaped(prefix)}</Prefix><Blobs>${shown.slice(from, to).join('')}</Blobs><NextMarker>${next}</NextMarker></EnumerationResults>`;
}

/** What lies in a folder is shown as that folder, once. */
function groupedXml(entries: readonly HnsEntry[], prefix: string): readonly string[] {
  const shown = new Set<string>();
  for (const { name, properties } of entries) {
    const slash = name.indexOf('/', prefix.length);
    const folder = slash >= 0 ? name.slice(0, slash + 1) : properties === undefined ? `${name}/` : undefined;
    shown.add(
      folder === undefined
        ? blobXml({ name, ...(properties ? { properties } : {}) })
        : `<BlobPrefix><Name>${escaped(folder)}</Name></BlobPrefix>`,
    );
  }
  return [...shown];
}

function blobXml({ name, properties }: HnsEntry): string {
  const md5 = properties?.contentMD5;
  const fields = properties
    ? `<Etag>${properties.etag}</Etag><ResourceType>file</ResourceType><Content-Length>${properties.contentLength}</Content-Length>` +
      `<Content-MD5>${md5 ? Buffer.from(md5).toString('base64') : ''}</Content-MD5><BlobType>${properties.blobType}</BlobType>`
    : '<Etag>0x8D0000000000000</Etag><ResourceType>directory</ResourceType><Content-Length>0</Content-Length><BlobType>BlockBlob</BlobType>';
  return `<Blob><Name>${escaped(name)}</Name><Properties>${fields}</Properties></Blob>`;
}

function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
