"""The ``minio`` client, made to keep our limits and to take back what it leaves behind.

The one file that builds on parts of that package which are not public:
``_create_multipart_upload``, ``_abort_multipart_upload``.
``tests/unit/storage/test_minio_multipart.py`` fails when they change.
"""

import threading
from urllib.parse import urlsplit

from minio import Minio, S3Error
from minio.error import MinioException
from urllib3 import PoolManager
from urllib3.exceptions import HTTPError

from config.errors import StorageError
from storage.minio_options import MinioOptions

#: Most uploads of ours that a broken line left behind and that are remembered.
_MAX_REMEMBERED = 1000


class MinioClient(Minio):
    """Signs and sends requests; all of them block.

    An upload in parts that fails is taken back. Where the line is broken that fails too, and
    the upload is remembered until :meth:`take_back` gets through.
    """

    def __init__(self, options: MinioOptions, http: PoolManager) -> None:
        super().__init__(
            options.endpoint,
            access_key=options.access_key.get_secret_value(),
            secret_key=options.secret_key.get_secret_value(),
            secure=options.secure,
            region=options.region,
            http_client=http,
        )
        self._lock = threading.Lock()
        self._left: list[tuple[str, str, str]] = []

    def take_back(self) -> None:
        """Have the service forget the parts of uploads that broke off, as far as it answers."""
        with self._lock:
            left, self._left = self._left, []
        for upload in left:
            self._abort_multipart_upload(*upload)

    def left_behind(self) -> int:
        """How many uploads in parts still have to be taken back."""
        return len(self._left)

    def _abort_multipart_upload(self, bucket_name: str, object_name: str, upload_id: str) -> None:
        # Called while another error is on its way up; that one is worth more than ours.
        try:
            super()._abort_multipart_upload(bucket_name, object_name, upload_id)
        except S3Error as error:
            if error.code in {"NoSuchUpload", "NoSuchBucket", "AccessDenied"}:
                return  # Gone already, or never to be allowed.
            self._remember(bucket_name, object_name, upload_id)
        except (StorageError, MinioException, HTTPError, OSError):
            self._remember(bucket_name, object_name, upload_id)

    def _remember(self, *upload: str) -> None:
        bucket, key, upload_id = upload
        with self._lock:
            self._left = [*self._left, (bucket, key, upload_id)][-_MAX_REMEMBERED:]


def build_link_client(options: MinioOptions, client: Minio, http: PoolManager) -> Minio:
    """Signs links for the address that browsers see: the signature covers the host."""
    if options.public_endpoint is None:
        return client
    parts = urlsplit(options.public_endpoint)
    return Minio(
        parts.netloc,
        access_key=options.access_key.get_secret_value(),
        secret_key=options.secret_key.get_secret_value(),
        secure=parts.scheme == "https",
        region=options.region,
        http_client=http,
    )
