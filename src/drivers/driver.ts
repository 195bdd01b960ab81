/**
 * The driver port: what the rest of blobferry may ask of a backend. Keys are full object names below the backend's
 * container (bucket, container, root folder), without a leading `/` unless the name really has one.
 *
 * Rules that hold for every method:
 * - A missing key is a `StorageError` of kind `not-found` (except in `remove`, where it is success).
 * - An aborted signal rejects with the signal's reason, leaves no visible object and starts no new request.
 * - Errors are `StorageError`s with backend, operation and key; drivers never retry by themselves.
 * - A key the backend cannot hold, or one that would leave the root, is kind `invalid-name`.
 */

import type { StorageError } from '../core/errors.ts';

export interface CallContext {
  readonly signal: AbortSignal;
  /** Told of each failure after which the call is made again by whoever owns the retries. */
  readonly onRetry?: (error: StorageError) => void;
}

/** Owner and mode of a file; only file systems have and keep them. */
export interface FileAttributes {
  readonly uid: number;
  readonly gid: number;
  /** Permission bits, such as 0o644. */
  readonly mode: number;
}

export interface ObjectInfo {
  readonly key: string;
  /** As the backend states it, in bytes. */
  readonly sizeBytes: number;
  /** A listing's size that may not be the true one: Swift lists large objects as empty. `stat` knows. */
  readonly isSizeUnsure?: true;
  /** Lower-case hex, only where the backend's value is (or looks like) the MD5 of the content. */
  readonly md5?: string;
  /** Storage class or access tier, as the backend names it; only where it was asked for and is not the usual one. */
  readonly tier?: string;
  /**
   * `yes`: by its tier it cannot be read before it is restored; `maybe`: no listing tells. Only where the tier was asked for.
   */
  readonly archived?: 'yes' | 'maybe';
  /** The registry's own mark of an upload that is not complete, which its driver takes for absent. */
  readonly isPlaceholder?: true;
  /** Opaque; equal versions mean equal bytes. ETag, generation, or inode-size-mtime. */
  readonly version?: string;
}

export interface ListQuery {
  /** Only keys that begin with this; empty lists everything. */
  readonly prefix: string;
  /** Only keys that sort behind this one. */
  readonly after?: string;
  /** A hint that keys behind this one are not wanted: the listing may end once it has passed it, and asks for no more. */
  readonly upTo?: string;
  /** Objects come with their `tier` and `archived`, where the backend has such: the listing takes a little longer. */
  readonly tellsTier?: true;
  /** Group keys at the next delimiter behind the prefix into `prefixes` instead of listing them. */
  readonly delimiter?: '/';
  /**
   * Asked before a file-system driver descends into a folder (name ends in `/`); true leaves the folder out.
   * Object stores need not ask.
   */
  readonly prune?: (folder: string) => boolean;
  /**
   * Told of a folder (name ends in `/`) or file that a file system cannot list; true: the listing goes on without it,
   * which is then the caller's to tell, false or no such function: it ends with the error. May be told twice of one, and
   * before keys that come earlier. Never asked about the root, nor when the backend itself is what fails.
   */
  readonly onUnlistable?: OnUnlistable;
}

export type OnUnlistable = (name: string, error: StorageError) => boolean;

export interface ListPage {
  readonly objects: readonly ObjectInfo[];
  /** Common prefixes, each ending in the delimiter; always empty without a delimiter. */
  readonly prefixes: readonly string[];
  /** Whoever made the page has seen that its keys strictly ascend by UTF-8 bytes. */
  readonly isAscending?: boolean;
  /** It is known that no page follows. */
  readonly isLast?: boolean;
  /** The first key that was left out because it lies behind the query's `upTo`. */
  readonly behind?: string;
}

export interface ReadOptions {
  /** First byte to read; default 0. */
  readonly offset?: number;
  /** Read only this version; another one is kind `precondition`. */
  readonly version?: string;
  /** The buffer is meant to take the whole object, so that checksums of the whole object can come back. */
  readonly isWhole?: boolean;
  /** Not over a connection that was used before: a second opinion on bytes that look wrong. */
  readonly isFresh?: boolean;
}

export interface ReadResult {
  /** Bytes placed into the buffer: its length, or fewer where the object ends before. */
  readonly bytesRead: number;
  /** Size of the whole object at the time of the read. */
  readonly totalBytes: number;
  readonly version?: string;
  readonly md5?: string;
  /** Lower-case hex of checksums of the whole object that the backend keeps; present for whole reads only. */
  readonly checksums?: { readonly sha256?: string; readonly crc32?: string; readonly crc32c?: string };
  readonly attributes?: FileAttributes;
  /**
   * Empty, as no part is there of those that it is made of: it may have been made so, or have lost them all, which the
   * backend cannot tell apart.
   */
  readonly lacksParts?: true;
}

/** A body that can be sent again from its start; its size is always known. */
export interface Body {
  readonly sizeBytes: number;
  /** The whole body where it lies in memory. */
  readonly bytes?: Uint8Array;
  /** Pieces in order; may be called again for a retry. A piece is valid until the next one is asked for. */
  open(): AsyncIterable<Uint8Array>;
}

export interface WriteOptions {
  /** Lower-case hex sha256 of the body, computed by the caller over these very bytes; sent where the backend checks it. */
  readonly sha256?: string;
  readonly attributes?: FileAttributes;
}

export interface WriteResult {
  readonly version?: string;
}

/** An open multipart upload; clonable, so that it can be journaled and continued. */
export interface Upload {
  readonly key: string;
  readonly id: string;
}

export interface PartInput {
  /** From 1. */
  readonly number: number;
  /** Where the part begins in the object. */
  readonly offset: number;
  readonly body: Body;
  readonly sha256?: string;
  /** Unsigned CRC-32 of the part. */
  readonly crc32?: number;
}

export interface PartReceipt {
  readonly number: number;
  readonly sizeBytes: number;
  /** What `complete` must send back; opaque. */
  readonly tag: string;
  readonly crc32?: number;
  /** Unsigned CRC-32C of the part, where the driver sent one. */
  readonly crc32c?: number;
  /** CRC-64 of the part, 16 hex digits, where the driver sent one. */
  readonly crc64?: string;
  readonly md5?: string;
}

export interface CompleteOptions {
  readonly sizeBytes: number;
  /** Unsigned CRC-32 of the whole object. */
  readonly crc32?: number;
  readonly attributes?: FileAttributes;
}

export interface MultipartFacet {
  readonly partBytesMin: number;
  readonly partBytesMax: number;
  readonly partsMax: number;
  /** Absent: as many bytes as the largest parts hold together. */
  readonly objectBytesMax?: number;
  /** Which checksum each part and the whole must bring; `none`: the driver needs neither. */
  readonly partChecksum: 'sha256' | 'crc32' | 'none';
  begin(ctx: CallContext, key: string): Promise<Upload>;
  putPart(ctx: CallContext, upload: Upload, part: PartInput): Promise<PartReceipt>;
  /** The object becomes visible here and nowhere before. Parts ascend by number. */
  complete(
    ctx: CallContext,
    upload: Upload,
    parts: readonly PartReceipt[],
    options: CompleteOptions,
  ): Promise<WriteResult>;
  /** Aborting twice, or an upload that is gone, is success. */
  abort(ctx: CallContext, upload: Upload): Promise<void>;
  listParts(ctx: CallContext, upload: Upload): Promise<readonly PartReceipt[]>;
  /** @param max ends the listing once it has so many: there may be a million that nobody ever aborted. */
  listUploads(ctx: CallContext, prefix: string, max?: number): Promise<readonly Upload[]>;
}

/** One upload call that takes a stream and does its own parts: the compatibility engine's way to write. */
export interface StreamUploadFacet {
  /** Rejects, leaving nothing visible, when the iterable throws. */
  upload(ctx: CallContext, key: string, body: Body, options: WriteOptions): Promise<WriteResult>;
}

/** What a target was seen to refuse when it was sent something wrong. */
export interface Binding {
  /** A body that differs from its signed sha256. */
  readonly payloadSha256: boolean;
  /** A body that differs from its MD5: of Content-MD5, of `x-goog-hash` (and a part), or of Swift's ETag. */
  readonly contentMd5: boolean;
  /** A body, and a part, that differ from their CRC-64; absent where the service has no such check to ask about. */
  readonly contentCrc64?: boolean;
  /** Computes and keeps the MD5 of a body that came with another checksum, so that listings have it all the same. */
  readonly computesMd5?: boolean;
  /** A part that differs from its CRC-32. */
  readonly partCrc32: boolean;
  /** A finished multipart object that differs from the CRC-32 of the whole. */
  readonly objectCrc32: boolean;
  /** A body, and a part, that differ from their CRC-32C. Absent where that was not asked about. */
  readonly crc32c?: boolean;
  /** Keeps a sha256 that was sent with the body and gives it back. */
  readonly storesSha256: boolean;
  /**
   * Computes the sha256 of an object that it copies, and keeps it: seen with an object whose sha256 it had never been
   * told. Absent where that was not asked about.
   */
  readonly computesCopySha256?: boolean;
}

export interface BindingFacet {
  /**
   * Sends deliberately wrong checksums under names below `prefix`, and leaves nothing behind.
   * Workers get the result with their storage settings and build their driver with it.
   */
  probe(ctx: CallContext, prefix: string, options?: BindingOptions): Promise<Binding>;
}

export interface BindingOptions {
  /** Also find out whether the service computes the sha256 of what it copies. */
  readonly copies?: boolean;
}

/** An object as the service that is to copy it finds it. */
export type CopySource = CopiedObject & (InBucket | AtAddress);

interface CopiedObject {
  readonly key: string;
  readonly sizeBytes: number;
  /** Copy only this version; another one is kind `precondition`. */
  readonly version: string;
}

/** On the same service. */
interface InBucket {
  readonly bucket: string;
}

/** Wherever it is: the service fetches it from there. */
interface AtAddress {
  readonly addresses: AddressFacet;
}

/** Where anybody may read one object for a while. */
export interface CopyAddress {
  /** With whatever authorizes it: a secret, which no error, log or journal may hold. */
  readonly url: string;
  /** A secret as well: what `x-ms-copy-source-authorization` is to say, where the URL alone does not do. */
  readonly authorization?: string;
}

/** Gives out leave to read single objects, for services that copy from an address. */
export interface AddressFacet {
  /** Good for an hour, or as long as the credentials are; asked for anew for each attempt. */
  addressOf(ctx: CallContext, key: string): Promise<CopyAddress>;
}

export interface CopyResult {
  readonly version?: string;
  /** Lower-case hex, of the whole object, where the answer states it. Only a binding says what it is worth. */
  readonly sha256?: string;
}

/** What a service keeps of an object. */
export interface KeptObject extends ObjectInfo {
  /** A sha256 is kept with it, of the whole or of its parts. */
  readonly hasSha256: boolean;
  /** Lower-case hex, where it is one of the whole object. */
  readonly sha256?: string;
}

/**
 * Copies that the service makes by itself: no byte of the object comes here. The service's word is no proof, save for a
 * sha256 that it was seen to compute itself.
 */
export interface ServerCopyFacet {
  /** What it copies from: its own buckets, or whatever has an address. */
  readonly copiesFrom: 'bucket' | 'address';
  /** Largest object that one `copy` takes, and largest part. */
  readonly copyBytesMax: number;
  /** As `stat`, with the sha256 that is kept. */
  look(ctx: CallContext, key: string): Promise<KeptObject>;
  /** Replaces an existing object. Asks for a sha256 where the binding says that it would be computed. */
  copy(ctx: CallContext, source: CopySource, key: string): Promise<CopyResult>;
  /** An upload that takes copied parts; `MultipartFacet.abort` ends it as well. */
  begin(ctx: CallContext, key: string): Promise<Upload>;
  copyPart(ctx: CallContext, upload: Upload, source: CopySource, part: CopiedPart): Promise<PartReceipt>;
  complete(
    ctx: CallContext,
    upload: Upload,
    parts: readonly PartReceipt[],
    options: CompleteOptions,
  ): Promise<WriteResult>;
}

/** A range of the source, and the number of the part that it becomes. */
export interface CopiedPart {
  readonly number: number;
  readonly offset: number;
  readonly sizeBytes: number;
}

export interface DriverFacts {
  /** `bytes`: listings ascend by UTF-8 bytes. `unsorted`: no promise. */
  readonly listOrder: 'bytes' | 'unsorted';
  /** May a listing's `md5` differ from the content's MD5 (SSE-KMS)? Equal values mean equal content either way. */
  readonly md5MayBeOpaque: boolean;
  /** A page of a listing is a request to a service, which answers several at once: listings may run side by side. */
  readonly listsSideBySide?: boolean;
  /**
   * Listings may lag behind what is written and removed (eventual consistency): what one lacks may be there, and what it
   * names may be gone. Objects themselves are asked where that matters.
   */
  readonly listsLate?: boolean;
  /** Largest body one `write` takes. */
  readonly writeBytesMax: number;
  /** A file system keeps owner and mode. */
  readonly keepsAttributes: boolean;
  /** True where a key and a longer key below it (`a`, `a/b`) cannot both exist. */
  readonly hasFolders: boolean;
}

export type FlushScope = 'own' | 'all';

export interface StorageDriver {
  /** `fs`, `s3`, `memory`: the `backend` label of metrics. */
  readonly kind: string;
  /** Display name without secrets, such as `s3://bucket/root` or `file:///srv/registry`. */
  readonly name: string;
  readonly facts: DriverFacts;
  readonly multipart?: MultipartFacet;
  readonly streamUpload?: StreamUploadFacet;
  readonly binding?: BindingFacet;
  readonly serverCopy?: ServerCopyFacet;
  readonly addresses?: AddressFacet;
  /** Pages in listing order. A prefix without keys gives no objects; a missing container is an error. */
  list(ctx: CallContext, query: ListQuery): AsyncIterable<ListPage>;
  stat(ctx: CallContext, key: string): Promise<ObjectInfo>;
  /**
   * Fills `into` from `offset`. A body shorter than the backend announced is kind `corrupt` (transient), never a
   * short result; an object that ends before the buffer does is a short result with its `totalBytes`.
   */
  read(ctx: CallContext, key: string, into: Uint8Array, options: ReadOptions): Promise<ReadResult>;
  /** Replaces an existing object. Invisible until complete: a failed or aborted write leaves the old state. */
  write(ctx: CallContext, key: string, body: Body, options: WriteOptions): Promise<WriteResult>;
  remove(ctx: CallContext, key: string): Promise<void>;
  /**
   * Returns once everything written and removed through this driver so far survives a power cut, with the folders it
   * lies in, whoever made those. A copy says "done" of nothing before.
   * @param scope `all`: also what others have put below the root, such as a run that was killed before its own flush.
   * Takes as long as the kernel has left unwritten; default `own`.
   */
  flush(ctx: CallContext, scope?: FlushScope): Promise<void>;
  close(): Promise<void>;
}
