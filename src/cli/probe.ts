/** Finds out whether a storage can be used: each step is one finding, and a failed step names what is missing. */
import { randomUUID } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { probePrefix, removeProbesOf } from '../coordinator/leftovers.ts';
import { describeBinding } from '../coordinator/preflight.ts';
import { BlobferryError, ConfigError, isStorageError } from '../core/errors.ts';
import type { Engine, LayoutChoice } from '../core/job.ts';
import { bodyOfBytes } from '../drivers/body.ts';
import type { CallContext, StorageDriver } from '../drivers/driver.ts';
import type { OpenDriver, StorageSpec } from '../drivers/spec.ts';
import { storageName } from '../drivers/spec-name.ts';
import { withRetries } from '../drivers/wrap/retry.ts';
import { detectLayout } from '../layout/detect.ts';
import { type FoundRegistry, findRegistries } from '../layout/find-registry.ts';
import { type KeyRule, keyPrefixOf, keyRuleOf, keyRuleText } from '../layout/key-rule.ts';
import type { Layout, LayoutName, ObjectClass } from '../layout/layout.ts';
import { PROBE_FOLDER } from '../layout/left-out.ts';
import { rawLayout } from '../layout/raw.ts';
import { clockSkewOf } from './clock.ts';
import { type Finding, keysFinding, tiersFinding } from './probe-source.ts';
import { formatBytes, formatDuration } from './units.ts';

type ProbeCheck =
  | 'reach'
  | 'list'
  | 'keys'
  | 'layout'
  | 'read'
  | 'clock'
  | 'tiers'
  | 'write'
  | 'remove'
  | 'checks';

export interface ProbeFinding {
  readonly check: ProbeCheck;
  /** `open`: not tried, or could not be told. */
  readonly outcome: Finding['outcome'];
  readonly text: string;
  readonly hint?: string;
}

export interface ProbeReport {
  readonly event: 'probe';
  readonly storage: string;
  readonly role: 'source' | 'target';
  /** What stands before every logical path in this storage's keys. */
  readonly keyPrefix: string;
  /** The same in words. */
  readonly keyRule: string;
  /** As the parameter `keyrule` names it; absent where keys are paths of files. */
  readonly keyRuleName?: KeyRule;
  /** Registries that were found where these settings do not have one. */
  readonly otherRegistries: readonly FoundRegistry[];
  readonly layout?: LayoutName;
  readonly firstObjects: readonly FoundObject[];
  /** Seconds that the server's clock is ahead of ours. */
  readonly clockSkewSeconds?: number;
  /** As the backend names them. */
  readonly missingPermissions: readonly string[];
  readonly findings: readonly ProbeFinding[];
  /** No finding failed. */
  readonly isUsable: boolean;
}

interface FoundObject {
  readonly path: string;
  readonly sizeBytes: number;
  readonly class: ObjectClass;
}

export interface ProbeOptions {
  readonly storage: StorageSpec;
  readonly role: 'source' | 'target';
  readonly layout: LayoutChoice;
  readonly engine: Engine;
  readonly isWriting: boolean;
  /** What is written is named after it, and what one of this name left that was killed is removed first. */
  readonly name?: string;
  readonly openDriver: OpenDriver;
  readonly signal: AbortSignal;
}

/** Failures of the storage are findings; rejects only when aborted or for a mistake of ours. */
export async function probeStorage(options: ProbeOptions): Promise<ProbeReport> {
  const probe = new Probe(options);
  await probe.run();
  return probe.report();
}

/** The names a person gives to whoever grants permissions. */
const PERMISSIONS: Readonly<Record<string, Partial<Record<ProbeCheck, string>>>> = {
  s3: {
    list: 's3:ListBucket',
    read: 's3:GetObject',
    write: 's3:PutObject',
    remove: 's3:DeleteObject',
    checks: 's3:AbortMultipartUpload',
  },
  swift: {
    list: 'read (X-Container-Read, with .rlistings or a user) on the container',
    read: 'read (X-Container-Read) on the container',
    write: 'write (X-Container-Write) on the container',
    remove: 'write (X-Container-Write) on the container',
  },
  azure: {
    list: 'list (l) on the container: of a SAS, or by Storage Blob Data Reader',
    read: 'read (r) on the container: of a SAS, or by Storage Blob Data Reader',
    write: 'write (w) on the container: of a SAS, or by Storage Blob Data Contributor',
    remove: 'delete (d) on the container: of a SAS, or by Storage Blob Data Contributor',
  },
  gcs: {
    list: 'storage.objects.list',
    read: 'storage.objects.get',
    write: 'storage.objects.create',
    remove: 'storage.objects.delete',
    checks: 'storage.objects.create and storage.objects.delete',
  },
  fs: {
    reach: 'read and search (r-x) on the root folder',
    list: 'read and search (r-x) on every folder',
    read: 'read (r) on every file',
    write: 'write and search (-wx) on the root folder',
    remove: 'write and search (-wx) on the folder of the file',
  },
};

const FIRST_OBJECTS = 3;
const READ_BYTES_MAX = 64 * 1024;
/** A person waits for the answer: three attempts, not a minute of them. */
const RETRIES = { attemptsMax: 3, delayMsMin: 200, delayMsMax: 1_000, random: Math.random };
/** S3 refuses requests whose clock is further off; see "RequestTimeTooSkewed". */
const SKEW_SECONDS_MAX = 15 * 60;

class Probe {
  readonly #options: ProbeOptions;
  readonly #ctx: CallContext;
  readonly #keyPrefix: string;
  readonly #findings: ProbeFinding[] = [];
  readonly #missing = new Set<string>();
  readonly #firstObjects: FoundObject[] = [];
  #otherRegistries: readonly FoundRegistry[] = [];
  #layout: Layout | undefined;
  #clockSkewSeconds: number | undefined;

  constructor(options: ProbeOptions) {
    this.#options = options;
    this.#ctx = { signal: options.signal };
    this.#keyPrefix = keyPrefixOf(options.storage);
  }

  async run(): Promise<void> {
    const driver = await this.#open();
    if (driver === undefined) return;
    try {
      const answer = await this.#list(driver);
      if (answer === 'none') return;
      await this.#clock();
      if (answer === 'listed') {
        await this.#lookBeside(driver);
        await this.#detect(driver);
        await this.#tiers(driver);
        await this.#read(driver);
      }
      await this.#write(driver);
    } finally {
      await driver.close();
    }
  }

  report(): ProbeReport {
    const { storage, role } = this.#options;
    const rule = keyRuleOf(storage);
    return {
      event: 'probe',
      storage: storageName(storage),
      role,
      keyPrefix: this.#keyPrefix,
      keyRule: keyRuleText(storage),
      ...(rule === undefined ? {} : { keyRuleName: rule }),
      otherRegistries: this.#otherRegistries,
      ...(this.#layout === undefined ? {} : { layout: this.#layout.name }),
      firstObjects: this.#firstObjects,
      ...(this.#clockSkewSeconds === undefined ? {} : { clockSkewSeconds: this.#clockSkewSeconds }),
      missingPermissions: [...this.#missing],
      findings: this.#findings,
      isUsable: this.#findings.every(({ outcome }) => outcome !== 'failed'),
    };
  }

  async #open(): Promise<StorageDriver | undefined> {
    const { storage, role, engine, isWriting, openDriver } = this.#options;
    try {
      // Opened for reading unless something is to be written: opening a target may make its folder.
      const driver = await openDriver({ storage, engine }, isWriting ? 'target' : 'source');
      return withRetries(driver, RETRIES, () => undefined);
    } catch (error) {
      if (role === 'target' && (await isYetToBeMade(storage, error))) {
        this.#found('reach', 'ok', 'the folder is not there yet; a copy makes it');
      } else {
        this.#failed('reach', error);
      }
      return undefined;
    }
  }

  /** One page: shows that the storage answers, that it may be listed, and what comes first. */
  async #list(driver: StorageDriver): Promise<'listed' | 'refused' | 'none'> {
    const startedMs = performance.now();
    try {
      for await (const page of driver.list(this.#ctx, { prefix: this.#keyPrefix })) {
        for (const { key, sizeBytes: listedBytes, isSizeUnsure } of page.objects) {
          const path = key.slice(this.#keyPrefix.length);
          if (this.#firstObjects.length >= FIRST_OBJECTS || rawLayout.leavesOut(path, listedBytes)) continue;
          const sizeBytes = isSizeUnsure ? await this.#trueSizeOf(driver, key) : listedBytes;
          this.#firstObjects.push({ path, sizeBytes, class: rawLayout.classify(path).objectClass });
        }
        if (this.#firstObjects.length >= FIRST_OBJECTS) break;
      }
    } catch (error) {
      // An answer with a status is an answer, whatever it says; so is what a file system says of a folder.
      const isAnswer = isStorageError(error) && (error.details.status !== undefined || driver.kind === 'fs');
      if (isAnswer) this.#answered(startedMs);
      this.#failed(isAnswer ? 'list' : 'reach', error);
      return isAnswer ? 'refused' : 'none';
    }
    this.#answered(startedMs);
    this.#found('list', 'ok', this.#firstObjects.length === 0 ? 'it is empty' : 'it holds objects');
    return 'listed';
  }

  /** An object that cannot be asked for its size cannot be read either, which is told then. */
  async #trueSizeOf(driver: StorageDriver, key: string): Promise<number> {
    try {
      return (await driver.stat(this.#ctx, key)).sizeBytes;
    } catch (error) {
      this.#options.signal.throwIfAborted();
      if (isStorageError(error)) return 0;
      throw error;
    }
  }

  /** Which rule does the container follow: is there a registry where the settings have it, and is there one elsewhere? */
  async #lookBeside(driver: StorageDriver): Promise<void> {
    const { storage, role } = this.#options;
    if (keyRuleOf(storage) === undefined) return;
    try {
      const found = await findRegistries(driver, this.#ctx, storage);
      this.#otherRegistries = found.others;
      const { outcome, text, hint } = keysFinding(storage, role, found);
      this.#found('keys', outcome, text, hint);
    } catch (error) {
      this.#failed('keys', error);
    }
  }

  #answered(startedMs: number): void {
    this.#found('reach', 'ok', `it answered in ${formatDuration((performance.now() - startedMs) / 1000)}`);
  }

  async #clock(): Promise<void> {
    const { storage, signal } = this.#options;
    if (storage.kind !== 's3') return;
    const skew = await clockSkewOf(storage, signal);
    this.#clockSkewSeconds = skew;
    if (skew === undefined) return this.#found('clock', 'open', 'the server did not tell its time');
    const ahead = skew >= 0 ? 'ahead of' : 'behind';
    const text = Math.abs(skew) < 2 ? 'as ours' : `${formatDuration(Math.abs(skew))} ${ahead} ours`;
    if (Math.abs(skew) < SKEW_SECONDS_MAX) return this.#found('clock', 'ok', `the server's clock is ${text}`);
    // No failure: requests are signed by the server's clock as soon as it has minded ours.
    this.#found(
      'clock',
      'open',
      `the server's clock is ${text}: requests are signed by the server's`,
      'Set the clock that is wrong: signatures hold for 15 minutes',
    );
  }

  async #detect(driver: StorageDriver): Promise<void> {
    const { layout: choice, role } = this.#options;
    try {
      const { layout, reason } = await detectLayout(driver, this.#ctx, this.#keyPrefix, choice);
      this.#layout = layout;
      const classify = ({ path, sizeBytes }: FoundObject): FoundObject => ({
        path,
        sizeBytes,
        class: layout.classify(path).objectClass,
      });
      this.#firstObjects.splice(0, FIRST_OBJECTS, ...this.#firstObjects.map(classify));
      this.#found('layout', 'ok', `${layout.name}: ${reason}`);
    } catch (error) {
      // A target need not hold a registry yet.
      if (role === 'target' && error instanceof ConfigError)
        this.#found('layout', 'ok', 'no registry in it yet');
      else this.#failed('layout', error);
    }
  }

  async #tiers(driver: StorageDriver): Promise<void> {
    const { storage, role } = this.#options;
    if (role !== 'source') return;
    try {
      const finding = await tiersFinding(this.#ctx, driver, storage, this.#layout ?? rawLayout);
      if (finding) this.#found('tiers', finding.outcome, finding.text, finding.hint);
    } catch (error) {
      this.#failed('tiers', error);
    }
  }

  async #read(driver: StorageDriver): Promise<void> {
    const first = this.#firstObjects[0];
    if (first === undefined) return this.#found('read', 'open', 'there is nothing to read');
    const into = Buffer.alloc(Math.max(1, Math.min(READ_BYTES_MAX, first.sizeBytes)));
    try {
      const isWhole = into.length >= first.sizeBytes;
      const result = await driver.read(this.#ctx, this.#keyPrefix + first.path, into, { isWhole });
      const all = result.bytesRead === result.totalBytes ? '' : ` of ${formatBytes(result.totalBytes)}`;
      this.#found('read', 'ok', `the first object, ${formatBytes(result.bytesRead)}${all}`);
    } catch (error) {
      this.#failed('read', error);
    }
  }

  async #write(driver: StorageDriver): Promise<void> {
    if (!this.#options.isWriting) {
      if (this.#options.role === 'target') this.#found('write', 'open', 'not tried; --write tries it');
      return;
    }
    const { name } = this.#options;
    const folder = name === undefined ? this.#keyPrefix + PROBE_FOLDER : probePrefix(this.#keyPrefix, name);
    if (name !== undefined) await removeProbesOf(this.#ctx, driver, this.#keyPrefix, name);
    const key = `${folder}${randomUUID()}`;
    const bytes = Buffer.from(`blobferry probe ${randomUUID()}\n`);
    try {
      await driver.write(this.#ctx, key, bodyOfBytes(bytes), {});
      const into = Buffer.alloc(bytes.length);
      await driver.read(this.#ctx, key, into, { isWhole: true });
      if (into.equals(bytes)) this.#found('write', 'ok', 'wrote an object and read the same bytes back');
      else
        this.#found(
          'write',
          'failed',
          'wrote an object and read other bytes back',
          'Do not store anything there',
        );
    } catch (error) {
      this.#failed('write', error);
      return;
    }
    const isRemoved = await this.#remove(driver, key);
    if (isRemoved) await this.#binding(driver, folder);
  }

  async #remove(driver: StorageDriver, key: string): Promise<boolean> {
    try {
      await driver.remove(this.#ctx, key);
      this.#found('remove', 'ok', 'removed it again');
      return true;
    } catch (error) {
      this.#failed('remove', error);
      this.#found('remove', 'failed', `"${key}" stays behind`);
      return false;
    }
  }

  async #binding(driver: StorageDriver, folder: string): Promise<void> {
    if (driver.binding === undefined) return;
    try {
      const binding = await driver.binding.probe(this.#ctx, folder, { copies: true });
      this.#found('checks', 'ok', describeBinding(driver, binding));
    } catch (error) {
      this.#failed('checks', error);
    }
  }

  #found(check: ProbeCheck, outcome: ProbeFinding['outcome'], text: string, hint?: string): void {
    this.#findings.push({ check, outcome, text, ...(hint === undefined ? {} : { hint }) });
  }

  #failed(check: ProbeCheck, error: unknown): void {
    this.#options.signal.throwIfAborted();
    if (!(error instanceof BlobferryError)) throw error;
    const permission = PERMISSIONS[this.#options.storage.kind]?.[check];
    // A wrong key is refused for every operation alike; only a refusal of this one names its permission.
    const isForThis =
      this.#options.storage.kind === 'fs' || !(isStorageError(error) && error.details.scope === 'backend');
    if (isStorageError(error, 'denied') && permission !== undefined && isForThis)
      this.#missing.add(permission);
    this.#found(check, 'failed', error.message, error.hint);
  }
}

/** A target folder that a copy would make: it is not there, and the folder it would lie in is. */
export async function isYetToBeMade(storage: StorageSpec, error: unknown): Promise<boolean> {
  if (storage.kind !== 'fs' || !isStorageError(error, 'not-found')) return false;
  if (await stat(storage.rootDirectory).catch(() => undefined)) return false;
  const parent = await stat(dirname(storage.rootDirectory)).catch(() => undefined);
  return parent?.isDirectory() ?? false;
}
