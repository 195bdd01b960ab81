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

export function planCase(seed: string, number: number): CasePlan {
  const random = new Random(`${seed}/${number}`);
  const digests = DIGEST_SOURCES[number % DIGEST_SOURCES.length] ?? 'path';
  const place = placeOf(random, digests);
  const menu = random.pick<Menu<FaultRule> | Menu<FuseRule>>(MENUS[place]);
  const source = place === 's3 source' || digests === 'stored' ? 's3' : sourceOf(random, place);
  const target =
    place === 's3 target' ? 's3' : place === 'fuse target' ? 'fs' : random.pick(['s3', 's3', 'fs'] as const);
  const hasLarge = menu.needsLarge === true || random.chance(0.25);
  const objects = makeObjects(random, digests === 'path', hasLarge);
  // Without a checksum two reads that are wrong alike are taken for right, and one that is not read twice is all there is.
  const drawn = { random, objects, flipsMax: digests === 'path' || digests === 'stored' ? 2 : 1 };
  const isFuse = place.startsWith('fuse');
  return {
    number,
    digests,
    source,
    target,
    server: random.pick(['checks', 'checks', 'checks', 'no-checksums', 'checks-nothing'] as const),
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

const MENUS = {
  's3 source': SOURCE_FAULTS,
  's3 target': TARGET_FAULTS,
  'fuse source': FUSE_SOURCE_FAULTS,
  'fuse target': FUSE_TARGET_FAULTS,
} as const;

/** Files keep no checksums, so they are no source for `stored`. */
function placeOf(random: Random, digests: DigestSource): Place {
  const places: readonly Place[] = [
    's3 source',
    's3 source',
    's3 target',
    's3 target',
    'fuse target',
    'fuse source',
  ];
  return random.pick(digests === 'stored' ? places.slice(0, -1) : places);
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
