/**
 * The engine of a migration: passes, checks and looks at both storages, one at a time, in one process. Nothing is held
 * between two calls but what lies in the folder of the journal.
 */
import { join } from 'node:path';
import { type ArchivedInput, findArchived } from '../../coordinator/archived.ts';
import { identityOf } from '../../coordinator/coordinator.ts';
import { peekOwnsTarget } from '../../coordinator/peek-journal.ts';
import { firstKey } from '../../coordinator/preflight.ts';
import { isStorageError } from '../../core/errors.ts';
import type { StorageDriver } from '../../drivers/driver.ts';
import type { StorageSpec } from '../../drivers/spec.ts';
import { DEFAULT_RETRIES, withRetries } from '../../drivers/wrap/retry.ts';
import { DigestIndex } from '../../layout/digests/digest-index.ts';
import { detectSource } from '../../layout/find-registry.ts';
import { keyPrefixOf } from '../../layout/key-rule.ts';
import type {
  CallEpoch,
  DigestFile,
  EngineCall,
  EnginePort,
  PassReport,
  PassRequest,
  StorageFindings,
  SurveyReport,
  TargetFindings,
  VerifyReport,
  VerifyRequest,
  WantedBlob,
  WindowPrediction,
  WindowRequest,
  WrittenReport,
  WrittenRequest,
} from '../engine-port.ts';
import { folderRoom } from './folder-room.ts';
import { type EngineParts, type EngineTask, Paced, type ReadEnds } from './parts.ts';
import { runEnginePass } from './run-pass.ts';
import { archivedFindings, surveyListing } from './survey.ts';
import { checkAll } from './verify-all.ts';
import { checkWritten } from './verify-written.ts';
import { WantedBlobs } from './wanted-blobs.ts';
import { predictWindow } from './window.ts';
import { WrittenStore } from './written-store.ts';

export function openEngine(parts: EngineParts): EnginePort {
  return new MigrationEngine(parts);
}

class MigrationEngine implements EnginePort {
  readonly #parts: EngineParts;
  readonly #written: WrittenStore;
  #isBusy = false;
  /** Of the source, as an earlier call counted them. */
  #objectsTotal: number | undefined;

  constructor(parts: EngineParts) {
    this.#parts = parts;
    this.#written = new WrittenStore(join(parts.options.journalDirectory, 'written'));
  }

  lookAtSource(call: EngineCall): Promise<StorageFindings> {
    return this.#alone(call, undefined, ({ signal }) =>
      this.#parts.probe(this.#parts.source, 'source', signal),
    );
  }

  lookAtTarget(call: EngineCall): Promise<TargetFindings> {
    return this.#alone(call, undefined, async (task) => {
      const { target, probe } = this.#parts;
      // Before a probe of ours lies there.
      const held = await this.#heldByTarget(task);
      const findings = await probe(target, 'target', task.signal);
      return { ...findings, ...held, ...(await folderRoom(target)) };
    });
  }

  survey(call: EngineCall, digests?: DigestFile, asked?: readonly WantedBlob[]): Promise<SurveyReport> {
    return this.#alone(call, undefined, (task) =>
      this.#reading(task, digests, async ({ source: plain, openTarget, found, digests: index }) => {
        const source = patient(plain);
        const beganMs = Date.now();
        const { source: storage, options } = this.#parts;
        const keyPrefix = keyPrefixOf(storage);
        const { layout, reason, warnings } = found;
        const ctx = { signal: task.signal };
        const progress = new Paced(call, (objects: number) => ({
          what: 'survey' as const,
          objects,
          objectsMoved: 0,
          bytesMoved: 0,
          objectsWrong: 0,
        }));
        const onListed = (objects: number) => progress.tell(objects);
        const listedFromMs = performance.now();
        const wanted = asked && new WantedBlobs(asked);
        const input = { source, keyPrefix, layout, digests: index, wanted, onListed };
        const counts = await surveyListing(ctx, input);
        const listingMs = Math.round(performance.now() - listedFromMs);
        const content = wanted ? { wanted: await wanted.settle(ctx, source) } : {};
        const { threads } = options;
        const target = await this.#lookedInto(openTarget);
        const where = { source, storage, sourcePrefix: keyPrefix, layout, threads };
        const archived = await findArchived(ctx, { ...where, ...(target ? { target } : {}) });
        progress.end(counts.objects);
        this.#objectsTotal = counts.objects;
        const about = { layout: layout.name, reason, warnings };
        const times = { beganMs, endedMs: Date.now(), listingMs };
        return { ...times, ...about, ...counts, ...content, ...archivedFindings(archived) };
      }),
    );
  }

  runPass(call: EngineCall, request: PassRequest): Promise<PassReport> {
    const epoch = request.kind === 'frozen' ? request.epoch : undefined;
    return this.#alone(call, epoch, async (task) => {
      const total = this.#objectsTotal;
      const report = await runEnginePass(task, request, { ...this.#parts, written: this.#written, total });
      if (report.end === 'done') this.#objectsTotal = report.objectsListed;
      return report;
    });
  }

  verifyWritten(call: EngineCall, request: WrittenRequest): Promise<WrittenReport> {
    return this.#alone(call, request.epoch, (task) =>
      checkWritten(task, {
        ...this.#parts,
        written: this.#written,
        known: request.known ?? [],
        reading: (work) => this.#reading(task, request.digests, work),
      }),
    );
  }

  verifyAll(call: EngineCall, request: VerifyRequest): Promise<VerifyReport> {
    const { epoch, digests, isDeep = false, known = [] } = request;
    return this.#alone(call, epoch, (task) =>
      checkAll(task, epoch, {
        ...this.#parts,
        isDeep,
        known,
        total: this.#objectsTotal,
        reading: (work) => this.#reading(task, digests, work),
      }),
    );
  }

  predictWindow(request: WindowRequest): WindowPrediction {
    return predictWindow(request);
  }

  async close(): Promise<void> {
    if (this.#isBusy) throw new TypeError('The engine is at work');
  }

  /** A stop of the user's is always told by rejecting with its reason. */
  async #alone<T>(
    call: EngineCall,
    epoch: CallEpoch | undefined,
    work: (task: EngineTask) => Promise<T>,
  ): Promise<T> {
    if (this.#isBusy) throw new TypeError('The engine does one thing at a time');
    call.signal.throwIfAborted();
    this.#isBusy = true;
    const signal = epoch ? AbortSignal.any([call.signal, epoch.broke]) : call.signal;
    try {
      const answer = await work({ call, signal, epoch });
      call.signal.throwIfAborted();
      return answer;
    } catch (error) {
      call.signal.throwIfAborted();
      throw error;
    } finally {
      this.#isBusy = false;
    }
  }

  /** What is there already need not be read again; a folder that is yet to be made has nothing. */
  async #lookedInto(openTarget: ReadEnds['openTarget']): Promise<ArchivedInput['target']> {
    try {
      return { driver: patient(await openTarget()), keyPrefix: keyPrefixOf(this.#parts.target) };
    } catch (error) {
      if (isStorageError(error, 'not-found')) return undefined;
      throw error;
    }
  }

  async #heldByTarget({ signal }: EngineTask): Promise<Pick<TargetFindings, 'holds' | 'stranger'>> {
    const { source, target, options, openDriver } = this.#parts;
    const from = patient(await openDriver({ storage: source, engine: 'direct' }, 'source'));
    try {
      const { layout } = await detectSource(from, { signal }, source, options.layout);
      // As a target, whose root a file system makes where its folder is there.
      const to = patient(await openDriver({ storage: target, engine: 'direct' }, 'target'));
      try {
        const found = await firstKey({ signal }, to, keyPrefixOf(target));
        if (found === undefined) return { holds: 'nothing' };
        const identity = identityOf(this.#parts, layout);
        if (await peekOwnsTarget(options.journalDirectory, identity)) return { holds: 'ours' };
        return { holds: 'stranger', stranger: found };
      } finally {
        await to.close();
      }
    } finally {
      await from.close();
    }
  }

  async #reading<T>(
    { signal }: EngineTask,
    digestFile: DigestFile | undefined,
    work: (ends: ReadEnds) => Promise<T>,
  ): Promise<T> {
    const { source, target, options, openDriver } = this.#parts;
    const digests = digestFile === undefined ? undefined : await DigestIndex.open(digestFile);
    const opened: StorageDriver[] = [];
    const open = async (storage: StorageSpec): Promise<StorageDriver> => {
      const driver = await openDriver({ storage, engine: 'direct' }, 'source');
      opened.push(driver);
      return driver;
    };
    try {
      const from = await open(source);
      const found = await detectSource(patient(from), { signal }, source, options.layout);
      return await work({ source: from, openTarget: () => open(target), found, digests });
    } finally {
      await Promise.all([...opened.map((driver) => driver.close()), digests?.close()]);
    }
  }
}

function patient(driver: StorageDriver): StorageDriver {
  return withRetries(driver, DEFAULT_RETRIES, () => undefined);
}
