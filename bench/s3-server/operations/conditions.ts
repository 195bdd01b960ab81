/** If-Match and its relatives, for reads, writes and copy sources. */
import type { RequestHead } from '../http/request-head.ts';
import { S3Error } from '../s3/s3-error.ts';
import type { StoredObject } from '../store/store.ts';

function etagsOf(value: string): readonly string[] {
  return value.split(',').map((one) =>
    one
      .trim()
      .replace(/^W\//, '')
      .replace(/^"(.*)"$/, '$1'),
  );
}

function matches(value: string, object: StoredObject): boolean {
  const etags = etagsOf(value);
  return etags.includes('*') || etags.includes(object.etag);
}

function failed(condition: string): S3Error {
  return new S3Error('PreconditionFailed', 'At least one of the pre-conditions you specified did not hold', {
    fields: { Condition: condition },
  });
}

/** Dates in fields have whole seconds, so the object's is cut to them as well. */
function isModifiedSince(object: StoredObject, date: string): boolean | undefined {
  const since = Date.parse(date);
  return Number.isNaN(since) ? undefined : Math.floor(object.modifiedMs / 1000) * 1000 > since;
}

/** @throws PreconditionFailed, or NotModified with the object's ETag. */
export function checkReadConditions(head: RequestHead, object: StoredObject): void {
  const ifMatch = head.headers.get('if-match');
  const ifNoneMatch = head.headers.get('if-none-match');
  const unmodified = head.headers.get('if-unmodified-since');
  const modified = head.headers.get('if-modified-since');
  if (ifMatch !== undefined) {
    if (!matches(ifMatch, object)) throw failed('If-Match');
  } else if (unmodified !== undefined && isModifiedSince(object, unmodified)) {
    throw failed('If-Unmodified-Since');
  }
  const isNotModified =
    ifNoneMatch === undefined
      ? modified !== undefined && isModifiedSince(object, modified) === false
      : matches(ifNoneMatch, object);
  if (isNotModified) {
    throw new S3Error('NotModified', 'Not Modified', { headers: [['ETag', `"${object.etag}"`]] });
  }
}

/** @param existing what the write would replace. */
export function checkWriteConditions(head: RequestHead, existing: StoredObject | undefined): void {
  const ifMatch = head.headers.get('if-match');
  const ifNoneMatch = head.headers.get('if-none-match');
  if (ifMatch !== undefined) {
    if (!existing) throw new S3Error('NoSuchKey', 'The specified key does not exist.');
    if (!matches(ifMatch, existing)) throw failed('If-Match');
  }
  if (ifNoneMatch !== undefined && existing && matches(ifNoneMatch, existing)) throw failed('If-None-Match');
}

/** Copies answer 412 to every condition that does not hold, never 304. */
export function checkCopySourceConditions(head: RequestHead, source: StoredObject): void {
  const field = (name: string): string | undefined => head.headers.get(`x-amz-copy-source-${name}`);
  const ifMatch = field('if-match');
  const ifNoneMatch = field('if-none-match');
  const unmodified = field('if-unmodified-since');
  const modified = field('if-modified-since');
  if (ifMatch !== undefined && !matches(ifMatch, source)) throw failed('x-amz-copy-source-If-Match');
  if (ifMatch === undefined && unmodified !== undefined && isModifiedSince(source, unmodified)) {
    throw failed('x-amz-copy-source-If-Unmodified-Since');
  }
  if (ifNoneMatch !== undefined && matches(ifNoneMatch, source)) {
    throw failed('x-amz-copy-source-If-None-Match');
  }
  if (ifNoneMatch === undefined && modified !== undefined && isModifiedSince(source, modified) === false) {
    throw failed('x-amz-copy-source-If-Modified-Since');
  }
}
