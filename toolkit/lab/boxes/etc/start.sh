# NAME FOLDER ROOT UUID CGROUP: run one box, in a mount namespace of its own.
# systemd in the box accepts only a pure cgroup2 tree; the overlay vanishes with the namespace.
name=$1 dir=$2 image=$3 uuid=$4 cgroup=$5
mkdir -p "$cgroup" && echo $$ >"$cgroup/cgroup.procs" || exit 1
if [ "$(stat -fc %T /sys/fs/cgroup)" != cgroup2fs ]; then
  umount -R /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup
fi
mount -t overlay overlay -o "lowerdir=$image,upperdir=$dir/upper,workdir=$dir/work" "$dir/root" || exit 1
while :; do
  env -i PATH="$PATH" SYSTEMD_NSPAWN_API_VFS_WRITABLE=network systemd-nspawn --quiet --boot \
    --machine="$name" --uuid="$uuid" --directory="$dir/root" --register=no --keep-unit \
    --network-namespace-path="/run/netns/$name" --capability=CAP_NET_ADMIN \
    --resolv-conf=off --timezone=off --link-journal=no --console=pipe --setenv=product_name='OpenStack Nova'
  [ $? = 133 ] || exit # 133: the box rebooted itself
done
