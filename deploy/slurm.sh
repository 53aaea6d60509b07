#!/usr/bin/env bash
# A Ray cluster on the nodes of a Slurm job, and one `curate run` on it. What follows the script's name goes to
# `curate run`; its exit code is the job's. Submitted again, the run goes on where it was.
#
#   sbatch --nodes=8 deploy/slurm.sh default --input s3://bucket/raw --output s3://bucket/run1
#
# `curate` and `ray` must be on PATH (activate the environment before sbatch), at the same place on every node.
# Input and output lie in object storage or on a file system that every node mounts.

#SBATCH --job-name=curate
#SBATCH --nodes=3
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --exclusive
#SBATCH --no-kill
#SBATCH --requeue
#SBATCH --signal=B:TERM@120
#SBATCH --time=24:00:00
# For passes that ask for GPUs: sbatch --gpus-per-node=8 …

set -euo pipefail

patience_s=300 # for all nodes to join
nodes=$SLURM_JOB_NUM_NODES
cpus=${SLURM_CPUS_PER_TASK:-1}
gpus=${SLURM_GPUS_ON_NODE:-0}
mapfile -t hosts < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=${hosts[0]:?scontrol names no node}
ip=$(getent ahostsv4 "$head" | awk 'NR == 1 { print $1 }')
[[ -n $ip ]] || { echo "slurm.sh: $head has no IPv4 address" >&2; exit 1; }

# Jobs that share a node must not meet: ports by the job's number (below the kernel's own range), a folder each.
port=$((22000 + SLURM_JOB_ID % 5000 * 2))
address=$ip:$port
folder=${TMPDIR:-/tmp}/ray-$SLURM_JOB_ID

# Only who knows the token talks to this cluster; srun hands the environment to the other nodes.
RAY_AUTH_MODE=token
RAY_AUTH_TOKEN=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
RAY_USAGE_STATS_ENABLED=0
export RAY_AUTH_MODE RAY_AUTH_TOKEN RAY_USAGE_STATS_ENABLED

steps=()
driver=

# shellcheck disable=SC2329
end_cluster() {
    trap - EXIT
    # Workers first: they would complain that the head is gone.
    for ((n = ${#steps[@]} - 1; n >= 0; n--)); do
        kill -TERM "${steps[n]}" 2>/dev/null || true
        wait "${steps[n]}" 2>/dev/null || true
    done
    rm -rf "$folder"
}

# shellcheck disable=SC2329
stop() {
    # Time is up or the job was cancelled: what is committed stays.
    if [[ -n $driver ]]; then kill -TERM "$driver" 2>/dev/null || true; else exit 143; fi
}

trap end_cluster EXIT
trap stop TERM INT

common=(
    --block --num-cpus="$cpus" --num-gpus="$gpus" --temp-dir="$folder"
    --object-store-memory=268435456 # media go through storage, not through Ray's object store
)

srun --overlap --nodes=1 --ntasks=1 --nodelist="$head" --cpus-per-task="$cpus" --kill-on-bad-exit=0 \
    ray start --head --node-ip-address="$ip" --port="$port" --ray-client-server-port="$((port + 1))" \
    "${common[@]}" >"ray-$SLURM_JOB_ID-head.log" 2>&1 &
steps+=($!)

deadline=$((SECONDS + patience_s))
until ray health-check --address "$address" >/dev/null 2>&1; do
    if ! kill -0 "${steps[0]}" 2>/dev/null || ((SECONDS > deadline)); then
        echo "slurm.sh: the head on $head did not start; see ray-$SLURM_JOB_ID-head.log" >&2
        exit 1
    fi
    sleep 1
done

if ((nodes > 1)); then
    srun --overlap --nodes="$((nodes - 1))" --ntasks="$((nodes - 1))" --exclude="$head" \
        --cpus-per-task="$cpus" --kill-on-bad-exit=0 \
        ray start --address="$address" "${common[@]}" >"ray-$SLURM_JOB_ID-workers.log" 2>&1 &
    steps+=($!)
fi

# All nodes, so that their versions are compared before the first unit.
python - "$address" "$nodes" "$((deadline - SECONDS))" <<'PYTHON'
import sys, time, ray

address, wanted, patience_s = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
ray.init(address=address, log_to_driver=False, logging_level="ERROR")
deadline_s = time.monotonic() + patience_s
while (there := sum(node["Alive"] for node in ray.nodes())) < wanted:
    if time.monotonic() > deadline_s:
        sys.stderr.write(f"slurm.sh: {there} of {wanted} nodes have joined; going on with them\n")
        break
    time.sleep(1)
PYTHON

curate run --ray-address "$address" "$@" &
driver=$!
code=0
wait "$driver" || code=$?
# A signal ends `wait` before the driver has ended.
while kill -0 "$driver" 2>/dev/null; do
    code=0
    wait "$driver" || code=$?
done
exit "$code"
