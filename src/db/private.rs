//! The private cluster: a PostgreSQL of our own from the programs on the machine, over a Unix socket only. The first
//! process owns it, later ones join through its socket; the owner stops it when it ends; a killed owner's cluster is
//! taken over by the next (DECISIONS 26).

pub use super::machine::ClusterFault;
use super::machine::{as_user, at, check_version, default_dir, make_dir, programs, socket_dir, unprivileged_user};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User};
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The superuser of the private cluster; used to migrate, never to serve.
const SUPERUSER: &str = "postgres";
/// The database inside it.
pub const DATABASE: &str = "todoku";
const START_LIMIT: Duration = Duration::from_secs(60);

/// How to run the cluster.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The folder for data, socket and log; the default place when `None`.
    pub dir: Option<PathBuf>,
    /// The folder of PostgreSQL's programs; looked for when `None`.
    pub bin: Option<PathBuf>,
    /// Further settings, `name=value`.
    pub settings: Vec<String>,
}

/// A private cluster that runs.
#[derive(Debug)]
pub struct Cluster {
    dir: PathBuf,
    socket_dir: PathBuf,
    // Held by the owner; the system releases it when the process dies, however it dies.
    lock: Option<Flock<File>>,
    child: Option<Child>,
    options: Options,
}

impl Cluster {
    /// Starts the cluster, or joins the one another process owns. Blocks until it answers.
    pub fn start(options: &Options) -> Result<Self, ClusterFault> {
        let dir = match &options.dir {
            Some(dir) => dir.clone(),
            None => default_dir()?,
        };
        let user = unprivileged_user();
        make_dir(&dir, None, 0o755)?;
        let socket_dir = socket_dir(&dir, user.as_ref())?;
        let mut cluster = Self { lock: own(&dir)?, dir, socket_dir, child: None, options: options.clone() };
        match (&cluster.lock, cluster.postmaster()) {
            (None, _) => tracing::info!(dir = %cluster.dir.display(), "joining the private cluster of another process"),
            (Some(_), Some(_)) => tracing::info!("taking over a private cluster whose owner is gone"),
            (Some(_), None) => cluster.launch_until_ready(user.as_ref())?,
        }
        while !cluster.wait_until_ready()? {
            // What was joined or taken over was ending, and is gone.
            cluster.launch_until_ready(user.as_ref())?;
        }
        Ok(cluster)
    }

    /// Stops a cluster nobody owns any more and removes all its data; refused while another process owns it.
    pub fn remove(options: &Options) -> Result<(), ClusterFault> {
        let dir = match &options.dir {
            Some(dir) => dir.clone(),
            None => default_dir()?,
        };
        if !dir.exists() {
            return Ok(());
        }
        let lock = own(&dir)?.ok_or_else(|| ClusterFault::InUse(dir.clone()))?;
        let mut cluster = Self { dir, socket_dir: PathBuf::new(), lock: Some(lock), child: None, options: options.clone() };
        cluster.shut_down();
        // Whoever had joined would start it again: the lock is held, and its file goes last.
        for entry in fs::read_dir(&cluster.dir).map_err(at(&cluster.dir))? {
            let path = entry.map_err(at(&cluster.dir))?.path();
            match path.is_dir() {
                true => fs::remove_dir_all(&path).map_err(at(&path))?,
                false if path.ends_with(OWNER_LOCK) => {}
                false => fs::remove_file(&path).map_err(at(&path))?,
            }
        }
        fs::remove_dir_all(&cluster.dir).map_err(at(&cluster.dir))
    }

    /// Starts PostgreSQL again if it is gone and this process owns the cluster, or can: its owner was killed as well, or ended and stopped it while this one
    /// lives on. Says whether it was started.
    pub fn revive(&mut self) -> Result<bool, ClusterFault> {
        // A child that ends and is not buried yet counts as alive to PostgreSQL: started now, another would find its lock file.
        if self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None))) || self.postmaster().is_some() {
            return Ok(false);
        }
        if self.lock.is_none() {
            self.lock = own(&self.dir)?;
        }
        if self.lock.is_none() {
            return Ok(false);
        }
        tracing::warn!(dir = %self.dir.display(), "the private cluster's server is gone and is started again");
        self.launch_until_ready(unprivileged_user().as_ref())?;
        Ok(true)
    }

    /// Whether this process owns it, and so migrates and stops it.
    pub fn is_owner(&self) -> bool {
        self.lock.is_some()
    }

    /// Connection parameters for a database of it, without a user.
    pub fn parameters(&self, database: &str) -> tokio_postgres::Config {
        let mut parameters = tokio_postgres::Config::new();
        parameters.host_path(&self.socket_dir).port(5432).dbname(database);
        parameters
    }

    /// Connection parameters of the superuser, for migrations and tests.
    pub fn superuser(&self, database: &str) -> tokio_postgres::Config {
        let mut parameters = self.parameters(database);
        parameters.user(SUPERUSER);
        parameters
    }

    /// The folder with data, log and keys.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The process id of the server, if it lives.
    pub fn postmaster(&self) -> Option<i32> {
        self.noted().filter(|pid| kill(Pid::from_raw(*pid), None).is_ok() && self.works_here(*pid))
    }

    /// The process id in the server's lock file. After a crash of the machine the number may be anybody's.
    fn noted(&self) -> Option<i32> {
        let text = fs::read_to_string(self.data().join("postmaster.pid")).ok()?;
        text.lines().next()?.trim().parse().ok().filter(|pid| *pid > 0)
    }

    /// Whether a process is the server of our data folder, by its command line, which everybody may read; where the system does not tell, it is believed.
    fn works_here(&self, pid: i32) -> bool {
        if !Path::new("/proc/self/cmdline").exists() {
            return true;
        }
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mut words = line.split(|byte| *byte == 0).map(|word| Path::new(OsStr::from_bytes(word)));
        let is_server = words.next().is_some_and(|program| program.file_name() == Some(OsStr::new("postgres")));
        // We always name its folder; here perhaps by another spelling.
        let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let is_ours = words.skip_while(|word| *word != Path::new("-D")).nth(1).is_some_and(|dir| real(dir) == real(&self.data()));
        is_server && is_ours
    }

    /// PostgreSQL starts over the lock files of a server that is gone, but not when their number is somebody else's by now. A server nobody has buried yet has an
    /// empty command line, and its files tell of what it left.
    fn remove_stale_locks(&self) {
        let is_anothers = |pid: i32| {
            let lives = fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty());
            lives && kill(Pid::from_raw(pid), None) != Err(Errno::ESRCH) && !self.works_here(pid)
        };
        if self.noted().is_some_and(is_anothers) {
            for stale in [self.data().join("postmaster.pid"), self.socket_dir.join(".s.PGSQL.5432.lock")] {
                let _ = fs::remove_file(stale);
            }
        }
    }

    /// Stops it cleanly if this process owns it.
    pub fn stop(mut self) {
        self.shut_down();
    }

    fn shut_down(&mut self) {
        if self.lock.is_none() {
            return;
        }
        if let Some(pid) = self.postmaster() {
            // SIGINT is PostgreSQL's fast shutdown: sessions end, nothing committed is lost.
            let _ = kill(Pid::from_raw(pid), Signal::SIGINT);
            let begun = Instant::now();
            while self.postmaster().is_some() && begun.elapsed() < START_LIMIT {
                if let Some(child) = &mut self.child {
                    let _ = child.try_wait();
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }

    fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    fn log(&self) -> PathBuf {
        self.dir.join("postgres.log")
    }

    /// A server that was killed may still be there as a process nobody has buried: its lock file counts until then.
    fn launch_until_ready(&mut self, user: Option<&User>) -> Result<(), ClusterFault> {
        let begun = Instant::now();
        loop {
            self.launch(user)?;
            match self.wait_until_ready().map(drop) {
                Err(ClusterFault::NotReady { tail, .. }) if tail.contains("postmaster.pid") && begun.elapsed() < START_LIMIT => std::thread::sleep(Duration::from_millis(250)),
                other => return other,
            }
        }
    }

    fn launch(&mut self, user: Option<&User>) -> Result<(), ClusterFault> {
        let bin = programs(self.options.bin.as_deref())?;
        let data = self.data();
        self.remove_stale_locks();
        if data.join("PG_VERSION").exists() {
            check_version(&data, &bin)?;
        } else {
            tracing::info!(dir = %self.dir.display(), "making the private cluster");
            // Made aside and moved into place, so that a kill half-way leaves nothing that looks finished.
            let fresh = self.dir.join("data.new");
            if fresh.exists() {
                fs::remove_dir_all(&fresh).map_err(at(&fresh))?;
            }
            make_dir(&fresh, user, 0o700)?;
            let mut initdb = as_user(Command::new(bin.join("initdb")), user);
            initdb.arg("-D").arg(&fresh).args(["-U", SUPERUSER, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"]);
            let output = initdb.stdin(Stdio::null()).output().map_err(at(&bin))?;
            if !output.status.success() {
                return Err(ClusterFault::Program { program: "initdb".into(), output: tail(&String::from_utf8_lossy(&output.stderr)) });
            }
            fs::rename(&fresh, &data).map_err(at(&data))?;
        }
        let log_path = self.log();
        let log = OpenOptions::new().create(true).append(true).mode(0o600).open(&log_path).map_err(at(&log_path))?;
        let mut postgres = as_user(Command::new(bin.join("postgres")), user);
        postgres.arg("-D").arg(&data);
        for setting in ["listen_addresses=", "port=5432", "unix_socket_permissions=0700", "max_connections=100", "timezone=UTC", "log_timezone=UTC", "lc_messages=C", "jit=off"] {
            postgres.args(["-c", setting]);
        }
        postgres.arg("-c").arg(format!("unix_socket_directories={}", self.socket_dir.display()));
        for setting in &self.options.settings {
            postgres.args(["-c", setting]);
        }
        // A group of its own: Ctrl-C reaches us first, and we stop it when our last request is answered.
        postgres.process_group(0).stdin(Stdio::null()).stdout(log.try_clone().map_err(at(&log_path))?).stderr(log);
        self.child = Some(postgres.spawn().map_err(at(&bin.join("postgres")))?);
        Ok(())
    }

    /// Waits for as long as the server lives: a recovery takes its time, and cut off it would begin anew. `false` when a server that is not our child is gone, and
    /// so is who owned it: the cluster is ours then.
    fn wait_until_ready(&mut self) -> Result<bool, ClusterFault> {
        let mut seen = Instant::now();
        let mut is_told = false;
        let socket = self.socket_dir.join(".s.PGSQL.5432");
        loop {
            let lives = match &mut self.child {
                Some(child) => matches!(child.try_wait(), Ok(None)),
                None => self.postmaster().is_some(),
            };
            // The status line of postmaster.pid says "ready" once connections are taken.
            let text = fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
            let status = text.lines().nth(7).map(str::trim).unwrap_or_default();
            let is_its_own = self.child.as_ref().is_none_or(|child| self.noted() == i32::try_from(child.id()).ok());
            if lives && is_its_own && socket.exists() && status == "ready" {
                return Ok(true);
            }
            if lives {
                seen = Instant::now();
                // Told to end when its last session does, it may never: ours is to see to that.
                if let (true, "stopping", false, Some(pid)) = (self.lock.is_some(), status, is_told, self.postmaster()) {
                    is_told = kill(Pid::from_raw(pid), Signal::SIGINT).is_ok();
                }
            } else {
                if self.child.is_none() && self.lock.is_none() {
                    self.lock = own(&self.dir)?;
                }
                if self.child.is_none() && self.lock.is_some() {
                    return Ok(false);
                }
                if self.child.is_some() || seen.elapsed() > START_LIMIT {
                    let log = self.log();
                    let tail = tail(&fs::read_to_string(&log).unwrap_or_default());
                    return Err(ClusterFault::NotReady { log, tail });
                }
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.shut_down();
    }
}

/// The file whoever owns the cluster holds locked.
const OWNER_LOCK: &str = "owner.lock";

/// Ownership of the cluster in `dir`, unless another process has it.
fn own(dir: &Path) -> Result<Option<Flock<File>>, ClusterFault> {
    let path = dir.join(OWNER_LOCK);
    loop {
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path).map_err(at(&path))?;
        let lock = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => lock,
            Err((_, Errno::EWOULDBLOCK)) => return Ok(None),
            Err((_, cause)) => return Err(at(&path)(cause.into())),
        };
        // A cluster that was removed meanwhile took its file along: the lock of that one keeps nobody out.
        let held = lock.metadata().map_err(at(&path))?.ino();
        if fs::metadata(&path).is_ok_and(|there| there.ino() == held) {
            return Ok(Some(lock));
        }
    }
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}
