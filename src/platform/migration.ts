/** A migration as its file asks for it: checked, paths absolute, defaults filled in. No secret is in it, only where each is. */

type Procedure = 'reconfigure' | 'restore';

export interface Migration {
  /** Absolute path of the file. */
  readonly file: string;
  /** A URL, or the absolute path of a YAML file. */
  readonly source: string;
  readonly target: string;
  /** Passes over the live source before the read-only window. */
  readonly passes: 'auto' | number;
  readonly platform: MsrPlatform | { readonly kind: 'none' };
  /** Folders, absolute. */
  readonly backups: string;
  readonly journal: string;
  readonly report: string;
  /** A window that is predicted to be longer is not opened; undefined: any may be. */
  readonly windowMsMax: number | undefined;
}

export interface MsrPlatform extends ServerAccess {
  readonly kind: 'msr';
  readonly procedure: Procedure;
  /** `docker`: commands of the bootstrapper are run here; `print`: they are shown and waited for. */
  readonly cli: 'docker' | 'print';
  /** Of the bootstrapper, in the version of the running MSR. */
  readonly image: string;
  /** A replica to talk to: 12 hex digits. */
  readonly replicaId: string;
  /** Where the new storage is mounted into the replicas: by its volume (or full path) or by its NFS address; else it is a cloud. */
  readonly mount: { readonly volume: string } | { readonly nfs: string } | undefined;
  /** Name of the node of MKE on which a restore makes the replica. */
  readonly ucpNode: string | undefined;
  /** Address of MSR for its users, where a restore is to set it; undefined: as in the backup. */
  readonly externalUrl: string | undefined;
  /** How long things may take; what is left out has its default. */
  readonly patience: Partial<MsrPatience>;
  /** The cluster around MSR, which the bootstrapper wants an administrator of. */
  readonly mke: ServerAccess;
}

/** Milliseconds. */
export interface MsrPatience {
  /** All replicas restart, one after the other. */
  readonly switchMsMax: number;
  /** Jobs that run already come to their end. */
  readonly drainMsMax: number;
  /** One command of the bootstrapper. */
  readonly containerMsMax: number;
  /** A garbage collection. */
  readonly collectionMsMax: number;
}

export interface ServerAccess {
  /** `https://host[:port]` */
  readonly url: string;
  readonly username: string;
  /** Name of the environment variable that holds the password or access token. */
  readonly secretEnv: string;
  readonly trust: Trust;
}

/** How the server's certificate is judged. `ca`: also by the authority in this file, an absolute path. */
export type Trust =
  | { readonly by: 'system' }
  | { readonly by: 'ca'; readonly file: string }
  | { readonly by: 'nobody' };
