/** What one case is, from the campaign's seed and the case's number alone: so that one case can be run again. */
import type { FaultRule } from '../../../bench/s3-server/faults/fault.ts';
import type { FuseRule } from '../../support/fuse.ts';
import { Random } from '../random.ts';
import { FUSE_SOURCE_FAULTS, FUSE_TARGET_FAULTS, type Menu, SOURCE_FAULTS, TARGET_FAULTS } from './menu.ts';
import { type CaseObjects, makeObjects } from './objects.ts';

/**
 * Where the digest of an object is known from: its path (a registry), a checksum that the source keeps, nothing, or
 * nothing but reading it twice.
 */
export const DIGEST_SOURCES = ['path', 'stored', 'none', 'twice'] as const;
type DigestSource = (typeof DIGEST_SOURCES)[number];

/** The embedded server as it is, as Ceph 16 (no checksums), or as one that checks nothing and must be read back. */
type ServerKind = 'checks' | 'no-checksums' | 'checks-nothing';

export interface CasePlan {
  readonly number: number;
  readonly digests: DigestSource;
  readonly source: 's3' | 'fs';
  readonly target: 's3' | 'fs';
  readonly server: ServerKind;
  /** Behind the FUSE file system. */
  readonly fuse: 'source' | 'target' | undefined;
  readonly fault: Omit<Menu<unknown>, 'make'>;
  readonly s3Rules: readonly FaultRule[];
  readonly fuseRules: readonly FuseRule[];
  readonly objects: CaseObjects;
  readonly isFrozen: boolean;
  readonly threads: number;
  /** Through the command line instead of inside this process. */
  readonly viaCli: boolean;
  /** `stored`: the checksum is a sha256 rather than an MD5. */
  readonly storesSha256: boolean;
}

type Place = 's3 source' | 's3 target' | 'fuse source' | 'fuse target';

interface Entry {
  readonly place: Place;
  readonly menu: Menu<FaultRule> | Menu<FuseRule>;
}

/** Where nothing but the copier's own checks stands between the fault and a wrong object, or a wrong "done". */
const WORST = /flipped bit|silent|error in a 200|lost reply|disk is full|behind the times/;

const ENTRIES: readonly Entry[] = [
  // A flipped bit once for every digest source.
  ...SOURCE_FAULTS.slice(0, 1).flatMap((menu) => Array<Entry>(3).fill({ place: 's3 source', menu })),
  ...SOURCE_FAULTS.map((menu) => ({ place: 's3 source', menu }) as const),
  ...TARGET_FAULTS.map((menu) => ({ place: 's3 target', menu }) as const),
  ...FUSE_SOURCE_FAULTS.map((menu) => ({ place: 'fuse source', menu }) as const),
  ...FUSE_TARGET_FAULTS.map((menu) => ({ place: 'fuse target', menu }) as const),
];

/** Every fault once a round, the worst ones first: a slice of the campaign has them all. */
function orderOf(seed: string): readonly Entry[] {
  const random = new Random(`${seed}/order`);
  const drawn = ENTRIES.map((entry) => ({
    entry,
    rank: WORST.test(entry.menu.name) ? -1 : random.fraction(),
  }));
  return drawn.sort((a, b) => a.rank - b.rank).map(({ entry }) => entry);
}

export function planCase(seed: string, number: number): CasePlan {
  const random = new Random(`${seed}/${number}`);
  const order = orderOf(seed);
  const [at, round] = [number % order.length, Math.floor(number / order.length)];
  const { place, menu } = order[at] ?? random.pick(order);
  // In four rounds every fault meets every digest source; files keep no checksums, so they are no source for `stored`.
  const drawnDigests = DIGEST_SOURCES[(at + round) % DIGEST_SOURCES.length] ?? 'path';
  const digests = place === 'fuse source' && drawnDigests === 'stored' ? 'path' : drawnDigests;
  const source = place === 's3 source' || digests === 'stored' ? 's3' : sourceOf(random, place);
  const target =
    place === 's3 target' ? 's3' : place === 'fuse target' ? 'fs' : random.pick(['s3', 's3', 'fs'] as const);
  const hasLarge = menu.needsLarge === true || random.chance(0.25);
  const objects = makeObjects(random, digests === 'path', hasLarge);
  // Only a digest outweighs two reads that are wrong alike: what looks like an MD5 may be none (SSE-KMS).
  const drawn = { random, objects, flipsMax: digests === 'path' ? 2 : 1 };
  const drawnServer = random.pick(['checks', 'checks', 'checks', 'no-checksums', 'checks-nothing'] as const);
  // A target that is read back would find what must be found before.
  const isFirst = round === 0 && WORST.test(menu.name);
  const isFuse = place.startsWith('fuse');
  return {
    number,
    digests,
    source,
    target,
    server: isFirst ? 'checks' : drawnServer,
    fuse: place === 'fuse source' ? 'source' : place === 'fuse target' ? 'target' : undefined,
    fault: menu,
    s3Rules: isFuse ? [] : (menu as Menu<FaultRule>).make(drawn),
    fuseRules: isFuse ? (menu as Menu<FuseRule>).make(drawn) : [],
    objects,
    isFrozen: random.chance(0.3),
    threads: random.pick([1, 1, 2]),
    viaCli: random.chance(0.04),
    storesSha256: random.chance(0.5),
  };
}

function sourceOf(random: Random, place: Place): 's3' | 'fs' {
  return place === 'fuse source' ? 'fs' : random.pick(['s3', 'fs'] as const);
}

export function describeCase(plan: CasePlan): string {
  const options = [
    plan.isFrozen ? 'frozen' : 'live',
    `${plan.threads} threads`,
    ...(plan.viaCli ? ['CLI'] : []),
  ];
  const way = `${plan.source} -> ${plan.target}`;
  const fuse = plan.fuse === undefined ? '' : ` (fuse: ${plan.fuse})`;
  return `case ${plan.number}: "${plan.fault.name}", digests: ${plan.digests}, ${way}${fuse}, server ${plan.server}, ${options.join(', ')}`;
}
