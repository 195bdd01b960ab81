/** Headers of uploads: what the target's configuration asks for, and the checksums that bind the body. */
import { createHash, hash } from 'node:crypto';
import type { Binding, Body, CallContext } from '../driver.ts';
import { untilAborted } from '../or-aborted.ts';
import type { S3Spec } from '../spec.ts';

type Headers = readonly (readonly [string, string])[];

/** Attributes come from the target's configuration, never from the source object. */
export function objectHeaders(spec: S3Spec): Headers {
  const headers: [string, string][] = [['content-type', 'application/octet-stream']];
  if (spec.objectAcl !== undefined) headers.push(['x-amz-acl', spec.objectAcl]);
  if (spec.storageClass !== undefined) headers.push(['x-amz-storage-class', spec.storageClass]);
  if (spec.encrypt) {
    headers.push(['x-amz-server-side-encryption', spec.kmsKeyId === undefined ? 'AES256' : 'aws:kms']);
    if (spec.kmsKeyId !== undefined)
      headers.push(['x-amz-server-side-encryption-aws-kms-key-id', spec.kmsKeyId]);
  }
  return headers;
}

/** A body that stalls must not outlive the call, so each piece is waited for no longer than the signal lasts. */
async function digestOfBody(ctx: CallContext, algorithm: 'sha256' | 'md5', body: Body): Promise<Buffer> {
  if (body.bytes) return hash(algorithm, body.bytes, 'buffer');
  const hasher = createHash(algorithm);
  for await (const piece of untilAborted(body.open(), ctx.signal)) hasher.update(piece);
  return hasher.digest();
}

interface BoundBody {
  readonly payloadHash: string;
  readonly headers: Headers;
}

/**
 * The payload hash binds the body wherever the server checks it, so a caller that knows the sha256 pays for one hash
 * altogether, and for no promise. Content-MD5 is only computed for servers seen to check nothing better.
 */
export function bodyHeaders(
  ctx: CallContext,
  body: Body,
  sha256: string | undefined,
  binding: Binding,
): BoundBody | Promise<BoundBody> {
  ctx.signal.throwIfAborted();
  const needsMd5 = !binding.payloadSha256 && binding.contentMd5;
  if (sha256 !== undefined && !needsMd5) return boundBy(sha256, undefined, binding);
  return hashedAndBound(ctx, body, sha256, binding);
}

async function hashedAndBound(
  ctx: CallContext,
  body: Body,
  sha256: string | undefined,
  binding: Binding,
): Promise<BoundBody> {
  const payloadHash = sha256 ?? (await digestOfBody(ctx, 'sha256', body)).toString('hex');
  const needsMd5 = !binding.payloadSha256 && binding.contentMd5;
  return boundBy(payloadHash, needsMd5 ? await digestOfBody(ctx, 'md5', body) : undefined, binding);
}

function boundBy(payloadHash: string, md5: Buffer | undefined, binding: Binding): BoundBody {
  const headers: [string, string][] = [];
  if (binding.storesSha256) {
    // Ceph 20 looks at the checksum only when the algorithm is named as well.
    headers.push(['x-amz-checksum-sha256', Buffer.from(payloadHash, 'hex').toString('base64')]);
    headers.push(['x-amz-sdk-checksum-algorithm', 'SHA256']);
  }
  if (md5) headers.push(['content-md5', md5.toString('base64')]);
  return { payloadHash, headers };
}
