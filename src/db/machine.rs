//! What the private cluster finds on a machine: folders, the user PostgreSQL runs as, its programs; and what to say when one is missing.

use nix::unistd::{Uid, User, chown};
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A socket path must fit `sockaddr_un`; `/.s.PGSQL.5432` and a margin come on top.
const MAX_SOCKET_DIR: usize = 84;

/// Why the private cluster cannot run, in words for the person who started it.
#[derive(Debug, thiserror::Error)]
pub enum ClusterFault {
    /// No PostgreSQL on the machine.
    #[error(
        "no PostgreSQL programs (initdb, postgres) were found{0}.\nInstall PostgreSQL 15 or later, for example:\n  \
         Debian/Ubuntu: apt-get install postgresql\n  Fedora/RHEL:   dnf install postgresql-server\n  macOS:         brew install postgresql@17\n\
         or name their folder in database.bin_dir, or use an outside server with database.url."
    )]
    NoPrograms(String),
    /// The data were made by another major version.
    #[error("the data in {dir} were made by PostgreSQL {made}, but {bin} is PostgreSQL {found}; set database.bin_dir to the programs of version {made}")]
    OtherVersion {
        /// The data folder.
        dir: PathBuf,
        /// The version that made it.
        made: String,
        /// The programs found.
        bin: PathBuf,
        /// Their version.
        found: String,
    },
    /// A program of PostgreSQL failed.
    #[error("{program} failed: {output}")]
    Program {
        /// Which one.
        program: String,
        /// The end of what it said.
        output: String,
    },
    /// The server did not become ready.
    #[error("PostgreSQL did not become ready; the end of {log} says:\n{tail}")]
    NotReady {
        /// The log file.
        log: PathBuf,
        /// Its last lines.
        tail: String,
    },
    /// A file could not be read or written.
    #[error("{path}: {cause}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Another process runs it.
    #[error("the private cluster in {0} is running; stop the process that owns it first")]
    InUse(PathBuf),
    /// No home for the data.
    #[error("no folder for the data: set database.data_dir or HOME")]
    NoHome,
}

/// The fault of a file or folder.
pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> ClusterFault + use<> {
    let path = path.to_owned();
    move |cause| ClusterFault::File { path, cause }
}

/// Where the data lives unless told otherwise.
pub(super) fn default_dir() -> Result<PathBuf, ClusterFault> {
    if Uid::effective().is_root() {
        return Ok("/var/lib/todoku".into());
    }
    let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share"));
    data.or_else(home).map(|base| base.join("todoku")).ok_or(ClusterFault::NoHome)
}

/// PostgreSQL refuses to run as root; then it runs as the distribution's user for it, or as nobody.
pub(super) fn unprivileged_user() -> Option<User> {
    if !Uid::effective().is_root() {
        return None;
    }
    ["postgres", "nobody"].iter().find_map(|name| User::from_name(name).ok().flatten())
}

/// A program run as a user, away from what surrounds us.
pub(super) fn as_user(mut command: Command, user: Option<&User>) -> Command {
    if let Some(user) = user {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    // Neither our locale nor our working folder may reach it.
    command.env("LC_ALL", "C.UTF-8").current_dir("/");
    command
}

/// Makes a folder with its owner and rights.
pub(super) fn make_dir(path: &Path, owner: Option<&User>, mode: u32) -> Result<(), ClusterFault> {
    fs::create_dir_all(path).map_err(at(path))?;
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(at(path))?;
    if let Some(user) = owner {
        chown(path, Some(user.uid), Some(user.gid)).map_err(|e| at(path)(e.into()))?;
    }
    Ok(())
}

/// Where the socket lives: in the cluster's folder, or where its path is short enough.
pub(super) fn socket_dir(dir: &Path, user: Option<&User>) -> Result<PathBuf, ClusterFault> {
    let mut chosen = dir.join("run");
    if chosen.as_os_str().len() > MAX_SOCKET_DIR {
        // The place is a pure function of the folder, so that other processes find it.
        let name = crc32fast::hash(dir.as_os_str().as_encoded_bytes());
        chosen = PathBuf::from(format!("/tmp/todoku-{}-{name:08x}", Uid::effective()));
    }
    make_dir(&chosen, user, 0o700)?;
    let owner = user.map_or(Uid::effective(), |user| user.uid);
    if fs::symlink_metadata(&chosen).map_err(at(&chosen))?.uid() != owner.as_raw() {
        return Err(at(&chosen)(io::Error::new(io::ErrorKind::PermissionDenied, "the socket folder belongs to somebody else")));
    }
    Ok(chosen)
}

/// The folder of PostgreSQL's programs.
pub(super) fn programs(configured: Option<&Path>) -> Result<PathBuf, ClusterFault> {
    let complete = |dir: &PathBuf| dir.join("initdb").is_file() && dir.join("postgres").is_file();
    if let Some(dir) = configured {
        let dir = dir.to_owned();
        return if complete(&dir) { Ok(dir) } else { Err(ClusterFault::NoPrograms(format!(" in {}", dir.display()))) };
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        places.push(String::from_utf8_lossy(&output.stdout).trim().into());
    }
    for (parent, inside) in [("/usr/lib/postgresql", "bin"), ("/usr", "bin"), ("/opt/homebrew/opt", "bin"), ("/usr/local/opt", "bin"), ("/Library/PostgreSQL", "bin")] {
        let mut versions: Vec<PathBuf> = fs::read_dir(parent).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        versions.retain(|path| parent != "/usr" || path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("pgsql-")));
        versions.sort_by_key(|path| std::cmp::Reverse(version_in_name(path)));
        places.extend(versions.into_iter().map(|path| path.join(inside)));
    }
    // Programs may be reached through links; they find their own files only from their real folder.
    places.into_iter().find(complete).map(|dir| real_dir(&dir)).ok_or_else(|| ClusterFault::NoPrograms(String::new()))
}

fn real_dir(dir: &Path) -> PathBuf {
    let real = fs::canonicalize(dir.join("postgres")).ok().and_then(|path| path.parent().map(Path::to_owned));
    real.filter(|real| real.join("initdb").is_file()).unwrap_or_else(|| dir.to_owned())
}

fn version_in_name(path: &Path) -> u32 {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let digits: String = name.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}

/// Refuses programs of another major version than the data.
pub(super) fn check_version(data: &Path, bin: &Path) -> Result<(), ClusterFault> {
    let version_file = data.join("PG_VERSION");
    let made = fs::read_to_string(&version_file).map_err(at(&version_file))?.trim().to_owned();
    let output = Command::new(bin.join("postgres")).arg("--version").output().map_err(at(bin))?;
    let found: String = String::from_utf8_lossy(&output.stdout).chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    if found != made {
        return Err(ClusterFault::OtherVersion { dir: data.to_owned(), made, bin: bin.to_owned(), found });
    }
    Ok(())
}
