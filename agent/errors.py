"""The one tree of errors: every error has a stable code, an exit code and a sentence that says what to do.

A code is never reused. ``docs/errors.md`` is generated from this tree (``recorder doctor --errors``) and a test holds
the two together.
"""

from __future__ import annotations

from typing import ClassVar


class RecorderError(Exception):
    """Base of all errors that this product raises on purpose.

    ``str(error)`` says what happened; ``code`` is stable and safe to match on; ``exit_code`` is what a command
    ends with; ``advice`` says what the reader can do (Chinese first).
    """

    code: ClassVar[str] = "ER-0000"
    exit_code: ClassVar[int] = 70
    advice: ClassVar[str] = "请联系管理员。 Call the administrator."


class UsageError(RecorderError):
    """The command was called in a way that cannot be carried out."""

    code = "ER-1001"
    exit_code = 2
    advice = "请查看该命令的 --help。 See the command's --help."


class ConfigError(RecorderError):
    """A configuration file is missing, unreadable, or holds a key or value that is not allowed."""

    code = "ER-1002"
    exit_code = 2
    advice = "请按提示修改配置文件。 Correct the named key in the configuration file."


class NotRunningError(RecorderError):
    """The local control socket does not answer: the recorder is not running."""

    code = "ER-1003"
    exit_code = 3
    advice = "请先启动记录仪：recorder run --config FILE。 Start the recorder first."


class RefusedError(RecorderError):
    """A gesture or command was understood and refused; the reason is in the message and, where due, in the ledger."""

    code = "ER-1004"
    exit_code = 4
    advice = "请按屏幕或语音说明处理。 Do as the message or the spoken prompt says."


class FormatError(RecorderError):
    """Bytes that claim to be part of the evidence format are not."""

    code = "ER-2001"
    exit_code = 2
    advice = "数据不符合证据格式，请保留原件并送检。 Keep the original untouched and have it examined."


class SignatureError(FormatError):
    """A signature does not verify, or was made by a key that may not sign this."""

    code = "ER-2002"
    advice = "签名无效，请保留原件并送检。 Keep the original untouched and have it examined."


class UnknownTypeError(FormatError):
    """An entry is of a type that this version does not know and may not skip."""

    code = "ER-2004"
    advice = "请使用与该账本相符的新版本软件验证。 Verify with a newer version that knows this type."


class OutOfPlaceError(FormatError):
    """A ledger line does not stand where it stands: something before it was altered, removed, moved or repeated."""

    code = "ER-2005"


class AlgorithmError(SignatureError):
    """A token asks for another signature algorithm than the one that the format allows."""

    code = "ER-2006"


class KeySpanError(SignatureError):
    """A line names another key than the one that may sign at its place."""

    code = "ER-2007"


class ProofError(FormatError):
    """A line's audit path does not lead to the note's root."""

    code = "ER-2008"
    advice = "移交包与见证不符，请保留原件并送检。 Keep the extract untouched and have it examined."


class NotExtractableError(FormatError):
    """A recording cannot be handed over by itself: not there, without keys of its own, or not yet witnessed."""

    code = "ER-2009"
    advice = "请核对编号；未经见证的，请先入站。 Check the number; if it is not witnessed, dock the device first."


class TimestampError(FormatError):
    """A timestamp does not verify, or its authority gave none."""

    code = "ER-2010"
    advice = "请核对时间戳机构的网址与根证书。 Check the timestamp authority's address and its root certificates."


class TrustError(RecorderError):
    """A trust bundle, certificate, profile or policy is missing, malformed or not from the agency."""

    code = "ER-2003"
    exit_code = 2
    advice = "请向管理员索取正确的信任文件。 Get the right trust file from the administrator."


class StorageError(RecorderError):
    """Evidence could not be written, synced or read back."""

    code = "ER-3001"
    exit_code = 5
    advice = "请立即将设备送回采集站。 Take the device to the dock now."


class StorageFullError(StorageError):
    """There is no room left; nothing was overwritten."""

    code = "ER-3002"
    advice = "存储空间已满，请将设备送回采集站。 Storage is full: dock the device."


class LockedError(StorageError):
    """Another process already holds this folder."""

    code = "ER-3003"
    advice = "另一进程正在使用该目录，请先停止它。 Stop the other process that uses this folder."


class FencedError(StorageError):
    """Another worker of the intake has taken this device over; nothing more may be written for it here."""

    code = "ER-3011"
    advice = "由另一工作进程接管，无需处理。 Another worker serves the device now; nothing needs doing."


class ArchiveServerError(StorageError):
    """The archive's server answers, and refuses: no permission, no such bucket or key, a condition not met."""

    code = "ER-3013"
    advice = "请检查存储桶名称、权限与对象锁定。 Check the bucket's name, permissions and object lock."


class WriteOnceError(StorageError):
    """The archive's server does not do what a write-once archive stands on: conditional writes, or object lock."""

    code = "ER-3012"
    advice = "请更换存储服务，或为存储桶启用对象锁定。 Use another server, or a bucket made with object lock."


class QuarantineFullError(StorageFullError):
    """A device's quarantine has reached its limit: what does not verify stays on the device, or in staging."""

    code = "ER-3005"
    advice = (
        "请查看隔离区并另行妥善保存后再移出，或调高 quarantine_bytes。"
        " Look at the quarantine, keep its items elsewhere, or raise quarantine_bytes."
    )


class CopyError(StorageError):
    """The second copy of the archive cannot be reached, is not the one meant, or differs from the archive."""

    code = "ER-3006"
    advice = "请检查第二副本所在磁盘与挂载。 Check the disk of the second copy and its mount."


class CopyDiffersError(CopyError):
    """Archive and second copy do not agree, or the archive's own bytes are damaged; neither was overwritten."""

    code = "ER-3007"
    advice = "请封存两份并核查，勿覆盖任何一份。 Keep both as they are and compare; overwrite neither."


class HardwareError(RecorderError):
    """A part is missing, failed, or does not answer in time."""

    code = "ER-4001"
    exit_code = 6
    advice = "请检查设备连接，或更换设备。 Check the part and its cable, or change the unit."


class HardwareLibraryMissingError(HardwareError):
    """The library that drives the configured part cannot be imported."""

    code = "ER-4002"
    advice = "请安装所需的库，或修改配置中的硬件类型。 Install the named library or configure another kind of part."


class BrokerError(RecorderError):
    """The MQTT broker cannot be reached, refused us, or broke the rules of the wire."""

    code = "ER-5001"
    exit_code = 7
    advice = "请检查网络、证书与采集站。 Check the network, the certificate and the dock."


class WireError(RecorderError):
    """A message on the wire is malformed or comes from somebody who may not send it."""

    code = "ER-5002"
    exit_code = 7
    advice = "已拒收该消息。 The message was refused."


class ReceiptError(RecorderError):
    """A receipt does not verify or does not cover what it should; no space is released."""

    code = "ER-5003"
    exit_code = 7
    advice = "收据无效，数据仍保留在设备上。 The receipt is not valid; the data stays on the device."


class WitnessError(RecorderError):
    """A witness cannot be reached, does not cosign, or answers what does not verify; nothing of it is kept."""

    code = "ER-5004"
    exit_code = 7
    advice = "请检查见证方地址、名称与信任文件后再试。 Check address, name and trust file; ask again."


class DisputedError(WitnessError):
    """A witness has seen another ledger than this one, or more of it: this is an old copy, or it was rewritten."""

    code = "ER-5005"
    advice = "见证方见过不同或更长的账本：请封存并核查。 Seize device and folder, and compare."


class RegisterError(RecorderError):
    """The register refuses a change that would break one of its rules, such as one recorder per officer (R16)."""

    code = "ER-6001"
    exit_code = 4
    advice = "请先办理归还或停用。 Return or retire the other one first."


class UnknownIdError(RegisterError):
    """No device, dock, officer or certificate of this id is in the register."""

    code = "ER-6002"
    advice = "请用 provision list 核对编号。 Look the id up with provision list."


def tree() -> list[type[RecorderError]]:
    """All error classes, in the order of their codes."""
    found: list[type[RecorderError]] = [RecorderError]
    for known in found:
        found.extend(known.__subclasses__())
    return sorted(found, key=lambda kind: kind.code)


def table() -> str:
    """The table of all errors, as Markdown: code, exit code, name, meaning, advice."""
    rows = ["| Code | Exit | Error | Meaning | Advice |", "|---|---|---|---|---|"]
    for kind in tree():
        meaning = (kind.__doc__ or "").split("\n")[0]
        rows.append(f"| {kind.code} | {kind.exit_code} | {kind.__name__} | {meaning} | {kind.advice} |")
    return "\n".join(rows) + "\n"
