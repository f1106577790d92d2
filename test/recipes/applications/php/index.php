<?php
$base = (empty($_SERVER['HTTPS']) ? 'http' : 'https') . '://' . $_SERVER['HTTP_HOST'];
$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
if ($path === '/who') {
    $about = ['url' => $base . $path, 'address' => $_SERVER['REMOTE_ADDR']];
    echo json_encode($about);
} elseif ($path === '/old') {
    header("Location: $base/new", true, 302);
} elseif ($path === '/server') {
    echo "{$_SERVER['REQUEST_SCHEME']}://{$_SERVER['SERVER_NAME']}:{$_SERVER['SERVER_PORT']}";
} elseif ($path === '/upload') {
    echo isset($_FILES['file']) ? $_FILES['file']['size'] : strlen(file_get_contents('php://input'));
}
