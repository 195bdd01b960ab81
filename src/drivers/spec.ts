/** Storage settings as plain clonable records: what the configuration becomes, and what workers are given. */
import type { ProxySettings } from '../transport/proxy.ts';
import type { TokenSource } from './access-token.ts';
import type { Binding, StorageDriver } from './driver.ts';

/** How keys are made where not as the registry's driver makes them; absent: as it does (see layout/key-rule.ts). */
type OtherKeyRule = 'plain';

export interface FileSystemSpec {
  readonly kind: 'fs';
  /** Absolute path of the folder that holds `docker/`. */
  readonly rootDirectory: string;
  /** For objects whose source has no owner or mode; default: as the root folder. */
  readonly owner?: { readonly uid: number; readonly gid: number };
  readonly mode?: number;
}

export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  /** Epoch milliseconds. */
  readonly expiresAtMs?: number;
  /** Not from the settings but from where the AWS SDK looks: worth looking there again once they are refused. */
  readonly isFound?: boolean;
}

/** How servers are reached from this machine, as its environment says; read once, for all threads. */
export interface NetworkSettings {
  readonly proxies?: ProxySettings;
  /** Absolute path of a PEM file with further authorities to trust (AWS_CA_BUNDLE). */
  readonly caFile?: string;
}

export interface S3Spec {
  readonly kind: 's3';
  readonly bucket: string;
  /** As written; the key rule in layout/ trims it as the registry's driver does. */
  readonly rootDirectory: string;
  readonly keyRule?: OtherKeyRule;
  readonly region: string;
  /** `http://host:port` or `https://…`; absent for AWS itself. */
  readonly endpoint?: string;
  readonly isPathStyle: boolean;
  /** `skipverify`: TLS certificates are not checked. */
  readonly skipsTlsVerify: boolean;
  /** Absent: from where the AWS SDK looks (environment, profile, instance role). */
  readonly credentials?: S3Credentials;
  readonly profile?: string;
  /** Attributes of written objects. */
  readonly encrypt: boolean;
  readonly kmsKeyId?: string;
  readonly storageClass?: string;
  readonly objectAcl?: string;
  readonly userAgent?: string;
  readonly network?: NetworkSettings;
}

/** Who asks Keystone or tempauth for a token; parameters as in the registry's `swift` section. */
export interface SwiftAccess {
  readonly authUrl: string;
  readonly authVersion: 1 | 2 | 3;
  /** Empty with an application credential that has an id. */
  readonly user: string;
  /** The secret, with an application credential. */
  readonly password: string;
  /** Keystone v3; it is one project's, so that none is named beside it. Its name is one of the user's. */
  readonly applicationCredential?: { readonly id: string } | { readonly name: string };
  /** Project by name or by id; neither for tempauth. */
  readonly tenant?: string;
  readonly tenantId?: string;
  /** The user's domain. */
  readonly domain?: string;
  readonly domainId?: string;
  /** The project's domain; default: the user's. */
  readonly tenantDomain?: string;
  readonly tenantDomainId?: string;
  readonly trustId?: string;
  /** Absent: the first one of the catalog. */
  readonly region?: string;
  readonly endpointType: 'public' | 'internal' | 'admin';
}

export interface SwiftSpec {
  readonly kind: 'swift';
  readonly container: string;
  /** As written; the key rule in layout/ makes of it what the registry's driver does. */
  readonly prefix: string;
  readonly keyRule?: OtherKeyRule;
  readonly access: SwiftAccess;
  /** `insecureskipverify`: TLS certificates are not checked. */
  readonly skipsTlsVerify: boolean;
  readonly network?: NetworkSettings;
}

/** Who asks Google for tokens. */
export type GcsAccess =
  /** Absolute path of a JSON file with a service account or a user's credentials. */
  | { readonly kind: 'keyfile'; readonly path: string }
  /** What such a file holds. */
  | { readonly kind: 'credentials'; readonly credentials: Readonly<Record<string, string>> }
  /** Application default credentials: GOOGLE_APPLICATION_CREDENTIALS, gcloud's own, or the machine's service account. */
  | { readonly kind: 'default' };

/** Cloud Storage by its own API; with HMAC keys it is an `S3Spec`. */
export interface GcsSpec {
  readonly kind: 'gcs';
  readonly bucket: string;
  /** As written; the key rule in layout/ trims it as the registry's driver does. */
  readonly rootDirectory: string;
  readonly keyRule?: OtherKeyRule;
  /** `https://host`; absent for Google itself. */
  readonly endpoint?: string;
  readonly access: GcsAccess;
  readonly skipsTlsVerify: boolean;
  /** Attributes of written objects. */
  readonly kmsKeyName?: string;
  readonly storageClass?: string;
  readonly predefinedAcl?: string;
  /** Default: `application/octet-stream`, as the registry writes it. */
  readonly contentType?: string;
  /** How Google is reached, where that differs from a direct connection. */
  readonly network?: NetworkSettings;
}

/** Who may use an account of Azure Storage. */
export type AzureAccess =
  /** In base64, as the portal shows it. */
  | { readonly type: 'shared-key'; readonly accountKey: string }
  /** Of the account or the container, as the portal shows it, without a `?`. */
  | { readonly type: 'sas'; readonly token: string }
  /** An application that is registered in Microsoft Entra ID. */
  | {
      readonly type: 'client-secret';
      readonly tenantId: string;
      readonly clientId: string;
      readonly secret: string;
    }
  /** Where Azure's own library looks: environment, workload or managed identity, command line. */
  | { readonly type: 'default' };

export interface AzureSpec {
  readonly kind: 'azure';
  readonly accountName: string;
  readonly container: string;
  /** Of the account, without a slash at its end: `https://account.blob.core.windows.net`, `http://host:port/account`. */
  readonly endpoint: string;
  /** As written; the key rule in layout/ trims it as the registry's driver does. */
  readonly rootDirectory: string;
  readonly keyRule?: OtherKeyRule;
  /** Names begin with a slash, as distribution 2.x writes them; without meaning beside a `keyRule`. */
  readonly hasSlashRoot: boolean;
  readonly access: AzureAccess;
  /** `skipverify`: TLS certificates are not checked. */
  readonly skipsTlsVerify: boolean;
  /** Attributes of written objects. */
  readonly accessTier?: string;
  readonly encryptionScope?: string;
  readonly network?: NetworkSettings;
}

/** For tests: a named store inside this process. */
export interface MemorySpec {
  readonly kind: 'memory';
  readonly name: string;
}

export type StorageSpec = FileSystemSpec | S3Spec | SwiftSpec | AzureSpec | GcsSpec | MemorySpec;

/** How a driver is to be built: the storage and what was found out about it. */
export interface DriverSpec {
  readonly storage: StorageSpec;
  readonly engine: 'direct' | 'sdk';
  /** What a target was seen to refuse; absent for sources and before probing. */
  readonly binding?: Binding;
  /** 12 hex digits: names of temporary files begin with them, so that a later run can tell whose they are. */
  readonly runId?: string;
  /** Runs that are over for sure: what they left unfinished is removed when a target is opened; open uploads stay. */
  readonly runsEnded?: readonly string[];
}

/** Concrete drivers are known to composition roots only (workers/, cli/), which hand this to everyone else. */
export type OpenDriver = (
  spec: DriverSpec,
  role: 'source' | 'target',
  /** Where a storage that knows who asks by tokens gets them; absent: it sees to them by itself. */
  tokens?: TokenSource,
) => Promise<StorageDriver>;
