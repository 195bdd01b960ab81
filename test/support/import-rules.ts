/**
 * The direction of imports, held by a test of our own. Each tier may import what stands before it:
 *
 *   core <- transport <- drivers <- layout <- copy | verify <- coordinator <- plan <- platform <- metrics | server | report <- cli
 *
 * Folders of one tier do not know each other: `verify` is a second opinion only while it shares nothing with `copy`.
 */
import { existsSync } from 'node:fs';
import { glob, readFile } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { dirname, join, posix } from 'node:path';
import { findImports, type ImportReference } from './source-imports.ts';

const TIERS: readonly (readonly string[])[] = [
  ['core'],
  ['transport'],
  ['drivers'],
  ['layout'],
  ['copy', 'verify'],
  ['coordinator'],
  ['plan'],
  ['platform'],
  ['metrics', 'server', 'report'],
  ['cli'],
];
/** Folders of `src/drivers` that are no driver: wrappers around any driver. */
const NOT_CONCRETE = ['wrap', 'http'];
const CORE_MAY_IMPORT = ['node:crypto', 'node:assert', 'node:assert/strict', 'node:zlib', 'node:util'];
/** Loads the worker's entry by the URL it is given, only to have it in the compile cache. */
const MAY_COMPUTE_NAMES = ['src/coordinator/pool.ts'];
/** What a worker thread loads of the command line: which drivers there are, and nothing else. */
const COMPOSITION = 'src/cli/composition.ts';
const AREAS = ['src', 'workers', 'bench', 'test', 'tools'];

/** What one file imports; paths are relative to the checkout, with `/`. */
interface Use extends ImportReference {
  readonly from: string;
  /** The imported file, or undefined for packages and Node's own modules. */
  readonly to: string | undefined;
}

/** One sentence for each import that goes the wrong way, with file and line; empty when all is well. */
export async function checkImports(root: string): Promise<readonly string[]> {
  const uses = await readUses(root);
  const packages = await readPackages(root);
  const found = uses.flatMap((use) => {
    const problem = nameProblem(use) ?? packageProblem(use, packages) ?? fileProblem(use, root);
    return problem === undefined ? [] : [`${use.from}:${use.line}: ${problem}`];
  });
  return [...found, ...findCycles(uses)];
}

async function readUses(root: string): Promise<readonly Use[]> {
  const uses: Use[] = [];
  const files: string[] = [];
  for await (const file of glob(`{${AREAS.join(',')}}/**/*.ts`, { cwd: root })) files.push(file);
  for (const from of files.sort()) {
    for (const reference of findImports(await readFile(join(root, from), 'utf8'))) {
      const { specifier } = reference;
      const isRelative = specifier?.startsWith('.') === true;
      if (reference.kind === 'url' && !(isRelative && specifier?.endsWith('.ts'))) continue;
      const to = isRelative ? posix.join(dirname(from), specifier) : undefined;
      uses.push({ ...reference, from, to });
    }
  }
  return uses;
}

interface Packages {
  readonly dependencies: ReadonlySet<string>;
  readonly all: ReadonlySet<string>;
}

async function readPackages(root: string): Promise<Packages> {
  const text = await readFile(join(root, 'package.json'), 'utf8');
  const { dependencies = {}, devDependencies = {} } = JSON.parse(text) as {
    readonly dependencies?: Readonly<Record<string, string>>;
    readonly devDependencies?: Readonly<Record<string, string>>;
  };
  const names = Object.keys(dependencies);
  return { dependencies: new Set(names), all: new Set([...names, ...Object.keys(devDependencies)]) };
}

function nameProblem({ specifier, kind, from }: Use): string | undefined {
  if (specifier === undefined) {
    if (MAY_COMPUTE_NAMES.includes(from)) return undefined;
    return isProduct(from) ? 'import() of a computed name: nobody can tell which way it goes' : undefined;
  }
  if (kind !== 'url' && specifier.startsWith('.') && !specifier.endsWith('.ts')) {
    return `"${specifier}" does not end in .ts`;
  }
  if (specifier.startsWith('/') || specifier.startsWith('file:')) return `"${specifier}" is an absolute path`;
  return undefined;
}

function packageProblem({ specifier, to, from }: Use, packages: Packages): string | undefined {
  if (specifier === undefined || to !== undefined) return undefined;
  if (isInTier(from, 'core') && !CORE_MAY_IMPORT.includes(specifier)) {
    return `core is pure and does not import "${specifier}"`;
  }
  if (specifier.startsWith('node:')) {
    return isBuiltin(specifier) ? undefined : `Node has no module "${specifier}"`;
  }
  if (isBuiltin(specifier)) return `"${specifier}" is written "node:${specifier}"`;
  const name = specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
  if (!packages.all.has(name)) return `"${name}" is not in package.json`;
  return isProduct(from) && !packages.dependencies.has(name)
    ? `"${name}" is a devDependency, which users do not have`
    : undefined;
}

function fileProblem(use: Use, root: string): string | undefined {
  const { from, to, kind } = use;
  if (to === undefined) return undefined;
  if (!existsSync(join(root, to))) return `${to} does not exist`;
  // A URL names an entry that runs in a thread or process of its own.
  if (kind === 'url') return undefined;
  const reversed = isProduct(from) ? areaOf(to) !== 'src' : areaOf(from) === 'bench' && areaOf(to) === 'test';
  if (reversed) return `${areaOf(from)} never imports ${areaOf(to)}`;
  return driverProblem(use) ?? workerProblem(use) ?? tierProblem(use);
}

function driverProblem({ from, to = '' }: Use): string | undefined {
  const driver = concreteDriverOf(to);
  if (driver === undefined || !isProduct(from)) return undefined;
  if (areaOf(from) === 'workers' || isInTier(from, 'cli')) return undefined;
  if (concreteDriverOf(from) === driver) return undefined;
  return `only workers/ and src/cli/ know that there is a driver "${driver}"`;
}

function workerProblem({ from, to = '' }: Use): string | undefined {
  if (areaOf(from) !== 'workers' || areaOf(to) !== 'src' || to === COMPOSITION) return undefined;
  const tier = tierOf(to);
  const isControl = tier === undefined || tier.rank >= rankOf('coordinator');
  return isControl ? `a worker moves bytes and does not import ${to}` : undefined;
}

function tierProblem({ from, to = '' }: Use): string | undefined {
  if (areaOf(from) !== 'src' || areaOf(to) !== 'src') return undefined;
  const [source, target] = [tierOf(from), tierOf(to)];
  if (source === undefined) return `${from} is in no tier known to the rules of imports`;
  if (target === undefined) return `${to} is in no tier known to the rules of imports`;
  if (target.rank < source.rank || target.name === source.name) return undefined;
  return `${source.name} never imports ${target.name}`;
}

function isProduct(path: string): boolean {
  return ['src', 'workers'].includes(areaOf(path));
}

function areaOf(path: string): string {
  return path.split('/')[0] ?? '';
}

function isInTier(path: string, name: string): boolean {
  return path.startsWith(`src/${name}/`);
}

function rankOf(name: string): number {
  return TIERS.findIndex((names) => names.includes(name));
}

function tierOf(path: string): { readonly name: string; readonly rank: number } | undefined {
  const [area, name = ''] = path.split('/');
  const rank = area === 'src' ? rankOf(name) : -1;
  return rank < 0 ? undefined : { name, rank };
}

function concreteDriverOf(path: string): string | undefined {
  const [area, tier, folder = '', ...rest] = path.split('/');
  const isBelow = area === 'src' && tier === 'drivers' && rest.length > 0;
  return isBelow && !NOT_CONCRETE.includes(folder) ? folder : undefined;
}

/** Each circle of imports once, from its first file by name; type-only imports count, URLs do not. */
function findCycles(uses: readonly Use[]): readonly string[] {
  const next = new Map<string, string[]>();
  for (const { from, to, kind } of uses) {
    if (to !== undefined && kind !== 'url') next.set(from, [...(next.get(from) ?? []), to]);
  }
  const cycles = new Set<string>();
  const settled = new Set<string>();
  const trail: string[] = [];
  const visit = (file: string): void => {
    const at = trail.indexOf(file);
    if (at >= 0) {
      cycles.add(describeCycle(trail.slice(at)));
      return;
    }
    if (settled.has(file)) return;
    trail.push(file);
    for (const target of next.get(file) ?? []) visit(target);
    trail.pop();
    settled.add(file);
  };
  for (const file of [...next.keys()].sort()) visit(file);
  return [...cycles];
}

function describeCycle(files: readonly string[]): string {
  const first = files.indexOf([...files].sort()[0] ?? '');
  const turned = [...files.slice(first), ...files.slice(0, first)];
  return `imports go in a circle: ${[...turned, turned[0]].join(' -> ')}`;
}
